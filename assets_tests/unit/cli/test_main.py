"""Errors become messages and exit codes in one place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adx_platform.cli import query


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (("ADX_KAFKA__LANES_PER_TOPIC", "x"), "ADX_KAFKA__LANES_PER_TOPIC: Input should be a"),
        (("ADX_KAFKA__NOPE", "1"), "ADX_KAFKA__NOPE: there is no such setting"),
        (("ADX_KAFAK__X", "1"), "ADX_KAFAK__X: there is no such setting"),
        (("ADX_WAREHOUSE__RETENTION", "raw.clicks=90"), 'ADX_WAREHOUSE__RETENTION: Invalid JSON'),
        (("ADX_WAREHOUSE", "hush"), 'ADX_WAREHOUSE: Invalid JSON'),
        (("ADX_PROFILE", "azure"), "ADX_PROFILE: Input should be 'local', 'aws' or 'hadoop'"),
        (("ADX_PROFILE", "aws"), "needs its own pseudonymisation key: set ADX_PRIVACY__KEY"),
        (("ADX_PRIVACY__PREVIOUS_KEY", "hush"), "ADX_PRIVACY: set ADX_PRIVACY__PREVIOUS_KEY and"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [("status",), ("rejects", "ls"), ("report",), ("build",)])
def test_wrong_settings_are_named(
    adx: Any,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    setting: tuple[str, str],
    said: str,
) -> None:
    monkeypatch.setenv(*setting)
    done = adx(*command)
    assert done.code == 2
    assert done.stdout == ""
    assert "error: the settings are not valid" in done.stderr
    assert said in done.stderr
    assert "hush" not in done.stderr
    assert "Value error" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [("rejects", "ls"), ("report",), ("lag",), ("ingest", "--once"), ("build",), ("demo",)],
    ids=" ".join,
)
def test_a_lake_that_cannot_be_is_wrong_usage(
    adx: Any, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ADX_LAKE__URI", "gopher://lake")
    done = adx(*command)
    assert done.code == 2
    assert done.stderr == (
        "error: ADX_LAKE__URI: scheme 'gopher' is not supported; "
        "give a path, file://, s3:// or hdfs://\n"
    )


def test_an_error_for_a_person_is_one_line_however_long(adx: Any, home: Path) -> None:
    done = adx("query", "select 1")
    assert done.code == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"error: nothing was published in {home / 'published'} yet: run `adx ")
    assert len(said) > 100


def test_a_message_with_square_brackets_is_shown_as_it_is(
    adx: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("ADX_HOME", str(home / "[/red]"))
    assert f"{home / '[/red]'}" in adx("query", "select 1").stderr


def test_ctrl_c_says_that_the_command_can_be_continued(
    adx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(query, "query_published", interrupted)
    done = adx("query", "select 1")
    assert done.code == 130
    assert "run the same command again to continue" in done.stderr


def test_a_mistake_of_ours_is_not_hidden(adx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(query, "query_published", broken)
    with pytest.raises(ZeroDivisionError):
        adx("query", "select 1")


def test_a_reader_that_has_seen_enough_is_no_error(small_line: Any) -> None:
    small_line.publish()
    program = "import sys; from adx_platform.cli.main import main; sys.argv[0] = 'adx'; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "query", "-f", "csv", "select * from range(300000)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "ADX_HOME": str(small_line.settings.home)},
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == "range\n"
        child.stdout.close()
        assert child.stderr.read() == ""
        # Python does not always tell a program that its last, large write was cut short.
        assert child.wait(60) in {0, 1}
