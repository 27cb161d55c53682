from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adx_platform.living.drill import DrillResult
from adx_platform.living.drill_report import COLUMNS, cells, short_cells, write_report
from adx_platform.living.drill_truth import Comparison, comparison
from adx_platform.living.scoreboard import Outcome, Row, Scoreboard
from adx_platform.quality.conservation import OffsetEquation

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
GOOD = Row(
    "torn file", Outcome.MENDED, NOON, "INC-1", 4.2, Outcome.MENDED, 61.0,
    ("repair_lake done",), (), (),
)  # fmt: skip
BAD = Row("a|b", Outcome.RECOVERED, None, None, None, None, None, (), (), ("was not injected",))


def result(*rows: Row, findings: tuple[str, ...] = ()) -> DrillResult:
    return DrillResult(
        NOON,
        NOON + timedelta(minutes=5),
        NOON + timedelta(minutes=35),
        Scoreboard(rows, ("INC-9 market",), findings),
        (Comparison("ad_impressions", 1_000, 1_000, 7, 7, ()),),
    )


def test_the_report_says_everything_twice(tmp_path: Path) -> None:
    target = write_report(result(GOOD, BAD, findings=("one row",)), tmp_path / "drill")
    text = target.read_text()
    assert text.startswith("# Drill\n\nNot passed: 2 faults in 30 minutes, 1 wrong actions.")
    assert "| torn file | mended | 12:00:00 | 4 s | mended | 61 s | repair_lake done | 0 |" in text
    assert "| a/b | recovered | - | - | - | - | - | 0 | was not injected |" in text
    assert "- INC-9 market" in text
    assert "- one row" in text
    document = json.loads((target.parent / "report.json").read_text())
    assert document["passed"] is False
    assert [fault["outcome"] for fault in document["faults"]] == ["mended", None]
    assert document["streams"][0]["stored"] == 1_000


def test_a_row_has_a_cell_for_every_column() -> None:
    assert len(cells(GOOD)) == len(cells(BAD)) == len(COLUMNS)
    assert short_cells(GOOD) == (
        *("torn file", "4 s", "mended", "61 s", "repair_lake done", "as expected"),
    )
    tried = replace(GOOD, attempts=("reload failed", "reload failed"), wrong_actions=("reload",))
    assert short_cells(tried)[-2:] == ("reload failed, 2 times", "as expected; wrong: reload")


def equation(**counts: int) -> OffsetEquation:
    return OffsetEquation("events", "ad_impressions", "t", 0, 0, sum(counts.values()), **counts)


def test_the_lake_must_account_for_what_was_sent() -> None:
    expected = {"accepted": 90, "rejected": 4, "duplicate": 6}
    whole = comparison(
        "ad_impressions", expected, [equation(accepted=92, rejected=4), equation(duplicate=4)]
    )
    assert (whole.sent, whole.stored, whole.problems) == (100, 100, ())
    less = comparison("ad_impressions", expected, [equation(accepted=95, rejected=4)])
    assert less.problems == ("ad_impressions: 100 messages were sent, the lake accounts for 99",)


def test_rejects_that_nobody_expected_and_lost_messages_are_said() -> None:
    found = comparison(
        "ad_impressions", {"accepted": 10}, [equation(accepted=8, rejected=1, lost=1, absent=3)]
    )
    assert found.problems == (
        "ad_impressions: 1 messages were lost at the broker",
        "ad_impressions: 0 rejects were expected, the lake has 1",
    )
