"""A verdict for a person: one sentence, and a table.

Belongs here: words and figures. Does not belong here: finding the verdict (``detector``), the
picture (``reporting.charts``) or Dagster's metadata (``orchestration``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adx_platform.quality.anomaly.detector import JudgedHour, State, Verdict
from adx_platform.quality.anomaly.series import Kind

_MICROS = 1_000_000
_NAMED = 3
_SMALL = 10.0
_STATES = {
    State.COLD_START: "cold start: its hour of the day was seen on too few days, so it passes",
    State.ENDED: "nothing for a week: it has ended, so it passes",
    State.NO_DATA: "no closed hour yet, so it passes",
}


def figure(value: float | None, kind: Kind) -> str:
    """A value in its unit: messages, per cent, or a price."""
    if value is None:
        return "-"
    if kind is Kind.RATE:
        return f"{value:.2%}"
    if kind is Kind.MEAN:
        return f"{value / _MICROS:,.2f}"
    return f"{value:,.0f}" if value >= _SMALL or value == int(value) else f"{value:.1f}"


def sentence(verdicts: Sequence[Verdict], kind: Kind) -> str:
    """What a check has to say, of its worst series first."""
    if not verdicts:
        return "nothing has arrived yet"
    bad = [verdict for verdict in verdicts if verdict.state is State.ANOMALOUS]
    if bad:
        more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        return "; ".join(_of_series(verdict, kind) for verdict in bad[:_NAMED]) + more
    told = [verdict for verdict in verdicts if verdict.state is State.NORMAL]
    untold = [verdict for verdict in verdicts if verdict.state is not State.NORMAL]
    parts = [_of_series(told[0], kind)] if told else []
    if len(told) > 1:
        parts.append(f"{len(told)} series are inside")
    parts += [f"{verdict.key}: {_STATES[verdict.state]}" for verdict in untold[:_NAMED]]
    return "; ".join(parts)


def _of_series(verdict: Verdict, kind: Kind) -> str:
    newest = verdict.newest
    if newest is None or newest.observed is None:
        return f"{verdict.key}: nothing to measure in the newest closed hour"
    text = (
        f"{verdict.key}: {figure(newest.observed, kind)} at {clock(newest.hour)}, "
        f"expected {figure(newest.expected, kind)} ({span(newest, kind)})"
    )
    deviation = verdict.deviation
    if verdict.state is not State.ANOMALOUS or deviation is None:
        return text
    side = "below" if deviation.score < 0 else "above"
    hours = "" if deviation.hours == 1 else f" over {deviation.hours} hours"
    return f"{text}; {abs(deviation.score):.1f} deviations {side}{hours}"


def span(judged: JudgedHour, kind: Kind) -> str:
    """The band of an hour in words."""
    if judged.low is None and judged.high is None:
        return "any"
    if judged.low is None:
        return f"up to {figure(judged.high, kind)}"
    if judged.high is None:
        return f"from {figure(judged.low, kind)}"
    return f"{figure(judged.low, kind)} to {figure(judged.high, kind)}"


def clock(hour: datetime) -> str:
    """An hour as people write it; UTC."""
    return f"{hour:%Y-%m-%d %H:00} UTC"


def table(verdict: Verdict, kind: Kind) -> str:
    """The newest hours as a Markdown table, the newest first."""
    rows = ["| hour (UTC) | observed | expected | band | |", "|---|--:|--:|--:|---|"]
    rows += [
        f"| {judged.hour:%m-%d %H:00} | {figure(judged.observed, kind)} "
        f"| {figure(judged.expected, kind)} | {span(judged, kind)} "
        f"| {'**out**' if judged.anomalous else ''} |"
        for judged in reversed(verdict.hours)
    ]
    return "\n".join(rows)
