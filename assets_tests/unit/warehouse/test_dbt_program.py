"""dbt as our program runs it says what it would say anyway, and does not work for nobody."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import redshift_connector
from dbt.adapters.redshift.connections import RedshiftCredentials, get_connection_method
from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager import EventManager
from dbt_common.events.logger import LoggerConfig
from dbt_common.events.types import Note

from adx_platform.warehouse import dbt_program


@pytest.fixture
def _skipping(monkeypatch: pytest.MonkeyPatch) -> None:
    # For the time of a test: the patch is meant for a process of its own.
    monkeypatch.setattr(EventManager, "fire_event", EventManager.fire_event)
    dbt_program.skip_unheard_events()


def _manager(level: EventLevel) -> tuple[EventManager, io.StringIO]:
    manager, heard = EventManager(), io.StringIO()
    manager.add_logger(LoggerConfig(name=f"test_{level}", level=level, output_stream=heard))
    return manager, heard


@pytest.mark.usefixtures("_skipping")
@pytest.mark.parametrize(
    ("log", "event", "shown"),
    [
        (EventLevel.INFO, EventLevel.DEBUG, False),
        (EventLevel.INFO, EventLevel.INFO, True),
        (EventLevel.INFO, EventLevel.WARN, True),
        (EventLevel.DEBUG, EventLevel.DEBUG, True),
        (EventLevel.ERROR, EventLevel.INFO, False),
    ],
)
def test_a_log_has_what_its_level_asks_for(log: EventLevel, event: EventLevel, shown: bool) -> None:
    manager, heard = _manager(log)

    manager.fire_event(Note(msg="what happened"), level=event)

    assert ("what happened" in heard.getvalue()) is shown


@pytest.mark.usefixtures("_skipping")
@pytest.mark.parametrize(("log", "made"), [(EventLevel.INFO, 0), (EventLevel.DEBUG, 1)])
def test_no_message_is_made_of_an_event_that_no_log_shows(
    log: EventLevel, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, _ = _manager(log)
    messages = []
    monkeypatch.setattr(manager.loggers[0], "write_line", messages.append)

    manager.fire_event(Note(msg="what happened"), level=EventLevel.DEBUG)

    assert len(messages) == made


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("no-such-command", 2)])
def test_the_exit_code_is_that_of_dbt(argument: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", dbt_program.__name__, argument],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code
    assert "Usage: dbt" in done.stdout + done.stderr


def test_a_parse_is_kept_where_the_relations_have_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "moved").mkdir()
    (tmp_path / "models" / "one.sql").write_text("select 1 as one\n", encoding="utf-8")
    (tmp_path / "dbt_project.yml").write_text("name: tiny\nprofile: tiny\n", encoding="utf-8")

    def parses_again(**connection: object) -> bool:
        output = {"type": "duckdb", "path": "adx.duckdb", "schema": "main", **connection}
        profile = {"tiny": {"target": "duckdb", "outputs": {"duckdb": output}}}
        # Every JSON text is YAML.
        (tmp_path / "profiles.yml").write_text(json.dumps(profile), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", dbt_program.__name__, "parse"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return "Unable to do partial parsing" in done.stdout

    parses_again()

    assert not parses_again(path="moved/adx.duckdb", settings={"memory_limit": "1GB"})
    assert parses_again(schema="other")
    assert parses_again(path="moved/other.duckdb")


def test_redshift_is_told_who_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt's adapter gives no name, and the driver would look for one at every connection."""
    given: dict[str, object] = {}
    monkeypatch.setattr(redshift_connector, "connect", lambda **kwargs: given.update(kwargs))
    credentials = RedshiftCredentials(
        host="cluster", port=5439, database="dev", schema="public", user="adx", password="s3cret"
    )
    credentials.autocommit = False

    dbt_program.name_redshift_connections()
    get_connection_method(credentials)()

    assert (given["host"], given["application_name"]) == ("cluster", "adx dbt")
