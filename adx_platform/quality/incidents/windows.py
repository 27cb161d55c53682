"""Windows of series: merged while an incident lasts, closed when it is over.

Belongs here: the arithmetic. Does not belong here: who must not learn from them (``anomaly``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from adx_platform.quality.incidents.model import SeriesWindow

_HOUR = timedelta(hours=1)


def merged(windows: Iterable[SeriesWindow]) -> tuple[SeriesWindow, ...]:
    """``windows`` without overlaps: of each series the fewest that cover the same points."""
    result: list[SeriesWindow] = []
    for window in sorted(windows, key=lambda w: (w.metric, w.key, w.start)):
        last = result[-1] if result else None
        if last is None or not _touch(last, window):
            result.append(window)
        else:
            result[-1] = replace(last, end=_later(last.end, window.end))
    return tuple(result)


def closed(
    windows: Iterable[SeriesWindow], good: Sequence[SeriesWindow] = ()
) -> tuple[SeriesWindow, ...]:
    """``windows`` with every open end closed.

    The clock of the series is that of the messages, which in a simulation or a replay is not the
    wall clock; so the end is where the series is known to be good again, or else one hour after
    the start.

    Args:
        windows: of an incident that is over.
        good: what the last good finding speaks of.
    """
    return tuple(
        window if window.end is not None else replace(window, end=_good_again(window, good))
        for window in windows
    )


def _good_again(window: SeriesWindow, good: Sequence[SeriesWindow]) -> datetime:
    starts = [
        item.start
        for item in good
        if (item.metric, item.key) == (window.metric, window.key) and item.start > window.start
    ]
    return min(starts, default=window.start + _HOUR)


def _touch(first: SeriesWindow, second: SeriesWindow) -> bool:
    same = (first.metric, first.key) == (second.metric, second.key)
    return same and (first.end is None or second.start <= first.end)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)
