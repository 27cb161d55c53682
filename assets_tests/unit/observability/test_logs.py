"""The two formats, and what a document of each kind of record holds."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from adx_platform.observability import logs
from adx_platform.observability.context import current_context, log_context
from adx_platform.observability.masking import Masker
from adx_platform.settings import LogSettings

JSON = LogSettings(format="json")
LOGGER = logging.getLogger("adx_platform.somewhere")


def configure(settings: LogSettings = JSON, **options: Any) -> None:
    logs.configure(settings, service="adx-test", masker=Masker(["the-password"]), **options)


def test_a_document_has_the_fields_of_ecs_and_of_the_work(ecs_line: Callable[[], Any]) -> None:
    configure()
    with (
        log_context(run_id="run-1", asset="lake/events/ad_impressions"),
        log_context(stream="ad_impressions", lane=1, offset_range=["1:[0, 5)"]),
    ):
        LOGGER.info("committed %d rows", 5, extra={"event.action": "commit", "adx.late": 2})
    line = ecs_line()
    assert line["message"] == "committed 5 rows"
    assert line["log.level"] == "info"
    assert line["trace"] == {"id": "run-1"}
    assert line["adx"] == {
        "asset": "lake/events/ad_impressions",
        "stream": "ad_impressions",
        "lane": 1,
        "offset_range": ["1:[0, 5)"],
        "late": 2,
    }
    assert line["event"] == {"action": "commit", "dataset": "adx-test.log"}
    assert line["service"]["name"] == "adx-test"
    assert line["log"]["logger"] == "adx_platform.somewhere"
    assert line["log"]["origin"]["file"]["name"] == "test_logs.py"
    assert line["process"]["pid"] > 0
    assert line["@timestamp"].endswith("Z")
    assert "original" not in line["log"]


def look_up() -> None:
    try:
        {}["the-password"]
    except KeyError as cause:
        raise ValueError("the-password is wrong") from cause


def test_an_error_has_its_causes_and_no_secret(ecs_line: Callable[[], Any]) -> None:
    configure()
    try:
        look_up()
    except ValueError:
        LOGGER.exception("could not")
    line = ecs_line()
    assert line["error"]["type"] == "ValueError"
    assert line["error"]["message"] == "*** is wrong"
    assert "KeyError: '***'" in line["error"]["stack_trace"]
    assert "the-password" not in json.dumps(line)


def test_what_is_given_beside_the_message_is_masked(ecs_line: Callable[[], Any]) -> None:
    configure()
    with log_context(asset="the-password"):
        LOGGER.info("x", extra={"adx.seen": {"where": ["the-password", 1]}})
    assert ecs_line()["adx"] == {"asset": "***", "seen": {"where": ["***", 1]}}


def dagster_extra(**changes: object) -> dict[str, object]:
    """What Dagster's handler leaves on a record of a run."""
    meta = {
        "run_id": "run-7",
        "job_name": "ingest_ad_impressions",
        "step_key": "land_and_refine_ad_impressions",
        "job_tags": {
            "adx/lane": "1",
            "adx/stream": "ad_impressions",
            "dagster/partition": "lane-1",
        },
        "orig_message": "said in a run",
        **changes,
    }
    return {"dagster_meta": meta}


def test_a_record_of_a_run_carries_the_run(ecs_line: Callable[[], Any]) -> None:
    configure()
    LOGGER.info("job - run - step - said in a run", extra=dagster_extra())
    line = ecs_line()
    assert line["message"] == "said in a run"
    assert line["trace"] == {"id": "run-7"}
    assert line["adx"] == {
        "job": "ingest_ad_impressions",
        "step": "land_and_refine_ad_impressions",
        "stream": "ad_impressions",
        "lane": 1,
        "partition": "lane-1",
    }
    assert "dagster_meta" not in line


def test_a_failure_that_dagster_reports_is_an_error(ecs_line: Callable[[], Any]) -> None:
    configure()
    failure = SimpleNamespace(
        cls_name="LakeError", message="the-password\n", to_string=lambda: "trace the-password"
    )
    event = SimpleNamespace(
        event_type_value="STEP_FAILURE",
        asset_key=SimpleNamespace(path=["lake", "events", "x"]),
        event_specific_data=SimpleNamespace(error=failure),
    )
    LOGGER.error("x", extra={**dagster_extra(), "dagster_event": event})
    line = ecs_line()
    assert line["error"] == {"type": "LakeError", "message": "***", "stack_trace": "trace ***"}
    assert line["event"]["action"] == "step_failure"
    assert line["adx"]["asset"] == "lake/events/x"


def test_text_is_one_line_for_a_person(
    clean_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings())
    with log_context(run_id="run-1"):
        LOGGER.warning("the-password of %s", "x", extra=dagster_extra())
    said = capsys.readouterr().err
    assert said.endswith(" WARNING adx_platform.somewhere said in a run\n")


@pytest.mark.parametrize(
    ("level", "shown"), [(logging.WARNING, ["b"]), (None, ["a", "b"]), (logging.ERROR, [])]
)
def test_the_level_is_the_handlers(
    clean_logging: None, capsys: pytest.CaptureFixture[str], level: int | None, shown: list[str]
) -> None:
    configure(level=level)
    # Dagster's own logger has a level below the root's.
    below = logging.getLogger("dagster.builtin")
    below.setLevel(logging.DEBUG)
    below.info("a")
    below.warning("b")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["message"] for line in lines] == shown


def test_a_second_call_replaces_the_first(
    clean_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    configure(LogSettings())
    LOGGER.info("once")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("adx_platform.somewhere once")


def test_contexts_nest_and_end() -> None:
    with log_context(stream="a", lane=0):
        with log_context(lane=1, incident="INC-1"):
            assert current_context() == {"stream": "a", "lane": 1, "incident": "INC-1"}
        assert current_context() == {"stream": "a", "lane": 0}
    assert current_context() == {}
