"""The report of a drill, as JSON for scripts and as Markdown for people.

Belongs here: the two forms. Does not belong here: the judgement (``scoreboard``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from adx_platform.living.drill import DrillResult
from adx_platform.living.scoreboard import Row

COLUMNS: Final = (
    "fault",
    "expected",
    "injected",
    "detected",
    "outcome",
    "after",
    "attempts",
    "wrong actions",
    "verdict",
)

SHORT_COLUMNS: Final = ("fault", "detected", "outcome", "after", "attempts", "verdict")


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table."""
    return (
        row.name,
        row.expected.value,
        f"{row.injected_at:%H:%M:%S}" if row.injected_at else "-",
        _seconds(row.detected),
        row.outcome.value if row.outcome else "-",
        _seconds(row.settled),
        _counted(row.attempts),
        ", ".join(row.wrong_actions) or "0",
        "; ".join(row.problems) or "as expected",
    )


def short_cells(row: Row) -> tuple[str, ...]:
    """One line of the table for a terminal: ``SHORT_COLUMNS``; the report has the rest."""
    chosen = dict(zip(COLUMNS, cells(row), strict=True))
    if row.wrong_actions:
        chosen["verdict"] += f"; wrong: {chosen['wrong actions']}"
    return tuple(chosen[name] for name in SHORT_COLUMNS)


def report_document(result: DrillResult) -> dict[str, Any]:
    """Everything, in JSON."""
    return {
        "passed": result.board.is_as_expected,
        "began_at": result.began_at.isoformat(),
        "warm_at": result.warm_at.isoformat(),
        "ended_at": result.ended_at.isoformat(),
        "wrong_actions": result.board.wrong_actions,
        "faults": [
            {
                **asdict(row),
                "expected": row.expected.value,
                "outcome": row.outcome.value if row.outcome else None,
                "injected_at": row.injected_at.isoformat() if row.injected_at else None,
            }
            for row in result.board.rows
        ],
        "false_alarms": list(result.board.false_alarms),
        "findings": list(result.board.findings),
        "streams": [asdict(item) for item in result.comparisons],
    }


def report_markdown(result: DrillResult) -> str:
    """The tables, and what is to be said against the platform."""
    board = result.board
    minutes = (result.ended_at - result.warm_at).total_seconds() / 60
    verdict = "Passed" if board.is_as_expected else "Not passed"
    verdict += f": {len(board.rows)} faults in {minutes:.0f} minutes"
    lines = [
        "# Drill",
        "",
        f"{verdict}, {board.wrong_actions} wrong actions.",
        "",
        *_table(COLUMNS, [cells(row) for row in board.rows]),
        "",
        *_table(
            ("stream", "sent", "in the lake", "rejects expected", "rejects in the lake"),
            [
                (
                    c.stream,
                    f"{c.sent:,}",
                    f"{c.stored:,}",
                    f"{c.expected_rejects:,}",
                    f"{c.rejects:,}",
                )
                for c in result.comparisons
            ],
        ),
    ]
    for title, items in (("False alarms", board.false_alarms), ("Findings", board.findings)):
        if items:
            lines += ["", f"## {title}", "", *(f"- {item}" for item in items)]
    return "\n".join(lines) + "\n"


def write_report(result: DrillResult, folder: Path) -> Path:
    """Write ``report.json`` and ``report.md`` into ``folder``; returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(
        json.dumps(report_document(result), indent=2) + "\n", encoding="utf-8"
    )
    target = folder / "report.md"
    target.write_text(report_markdown(result), encoding="utf-8")
    return target


def _counted(attempts: Sequence[str]) -> str:
    """Attempts that are alike are one entry."""
    entries = (
        name if count == 1 else f"{name}, {count} times"
        for name, count in Counter(attempts).items()
    )
    return ", ".join(entries) or "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]
