"""The list of commands, and that each can be asked what it does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from adx_platform.cli.commands import COMMANDS, LazyCommand

HELP_WORDS = {
    ("erase",): ["--user-id", "--pseudonym", "--dry-run", "--vacuum-now", "run again"],
    ("demo",): ["--events", "--seed", "make clean"],
    ("up",): ["--ui-port", "ADX_UI_PORT", "--no-ui"],
    ("down",): ["keeps its messages"],
    ("status",): ["--json", "exit code is 1"],
    ("simulate",): ["--events", "--no-send", "--follow", "nothing is made or sent twice"],
    ("dev",): ["--no-faults", "--speed", "--history-days", "Ctrl-C", ".adx-dev"],
    ("drill",): ["--attach", "--only", "--clean-minutes", "exit code is 1"],
    ("topics",): ["--json"],
    ("lag",): ["landed and refined"],
    ("produce",): ["--topic", "--file", "--format", "--received-at", "exit code is 1"],
    ("ingest",): ["--once", "--follow", "--stream"],
    ("reprocess",): ["--partition", "--start", "--end", "--reason"],
    ("build",): ["publish the marts if all is green"],
    ("train",): ["--json", "keeps a version", "training_daily"],
    ("maintain",): ["--json", "ADX_WAREHOUSE__RETENTION", "schedule maintenance"],
    ("repair",): ["--stream"],
    ("trace",): ["load_id", "--json"],
    ("incidents",): ["ls", "show", "ack"],
    ("query",): ["csv or json", "stdin", "--file", "--limit", "read-only"],
    ("report",): ["--top", "exit code is 1"],
    ("docs",): ["without a network", "File to write"],
    ("attribution",): ["--paths", "--lookback", "--order", "--shapley-worth", "touch_type"],
    ("doctor",): ["--json", "--timeout", "exit code is 1"],
    ("settings",): ["--changed", "--json", "--markdown", "Secrets are masked"],
    ("rejects",): ["ls", "show"],
    ("rejects", "ls"): ["--reason", "malformed_json", "--limit"],
    ("rejects", "show"): ["--topic-id"],
}
HEAVY = ("polars", "duckdb", "pyarrow", "confluent_kafka", "dagster", "deltalake", "pandera")


def test_every_command_is_tested_here() -> None:
    assert {words[0] for words in HELP_WORDS} == {entry.name for entry in COMMANDS}


@pytest.mark.parametrize("command", HELP_WORDS, ids=" ".join)
def test_help_says_what_a_command_does_and_takes(adx: Any, command: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        done = adx(*command, flag)
        assert done.code == 0
        assert f"Usage: adx {' '.join(command)}" in done.words
        for word in HELP_WORDS[command]:
            assert word in done.words


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_line_in_the_list_is_the_first_line_of_the_commands_own_help(entry: Any) -> None:
    command = LazyCommand(entry).load()
    assert command.help is not None
    assert command.help.partition("\n\n")[0].replace("\n", " ") == entry.help


def test_the_list_names_every_command_on_lines_that_are_not_cut(adx: Any) -> None:
    done = adx("--help")
    assert done.code == 0
    for entry in COMMANDS:
        # Markdown: what stands in backquotes is shown as code.
        assert f"{entry.name} {entry.help.replace('`', '')}" in done.words


def test_without_arguments_the_help_is_shown_and_the_usage_was_wrong(adx: Any) -> None:
    done = adx()
    assert done.code == 2
    assert "rejects" in done.words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("qurey",), "Did you mean 'query'?"),
        (("rejects", "lss"), "Did you mean 'ls'?"),
        (("query",), "there is no query: adx query"),
        (("query", "select 1", "--fromat", "csv"), "No such option: --fromat"),
        (("query", "select 1", "--format", "xml"), "'xml' is not one of 'table', 'csv', 'json'"),
        (("report", "--top", "0"), "greater than or equal to 1"),
        (("rejects", "show", "ad_impressions", "-1", "0"), "No such option"),
        (("rejects", "ls", "--reason", "nope"), "'nope' is not one of 'empty_message'"),
        (("produce", "--topic", "ad_impressions", "--file", "absent.ndjson"), "absent.ndjson"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_explained(adx: Any, arguments: tuple[str, ...], said: str) -> None:
    done = adx(*arguments)
    assert done.code == 2
    assert said in done.words
    assert "Traceback" not in done.words


def test_asking_for_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from adx_platform.cli.main import main\n"
        "sys.argv = ['adx', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        f"    sys.exit(' '.join(m for m in {HEAVY!r} if m in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "rejects" in done.stdout
    assert done.stderr.strip() == ""
