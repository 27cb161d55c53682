"""The area between the axes of a chart over time, and what is drawn in it.

Belongs here: axes, lines, areas, bands and marks. Does not belong here: which of them make a chart,
its legend and its words (``charts``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from adx_platform.reporting.svg import (
    BLUE,
    GRID,
    RED,
    Scale,
    TimeScale,
    Unit,
    coordinate,
    label,
    number,
    time_scale,
    value_scale,
    width_of,
)

T = TypeVar("T")

DIAMOND: Final = "l4-4 4 4-4 4z"
"""The mark of what is out of its band, from its left corner on."""

_DIAMOND_RADIUS = 4
_HOUR = timedelta(hours=1)
_TICK_WIDTH = 70
_GAP = 8


@dataclass(frozen=True, slots=True)
class Plot:
    """The area between the axes."""

    times: TimeScale
    values: Scale

    @classmethod
    def around(
        cls,
        moments: Sequence[datetime],
        values: Sequence[float],
        *,
        unit: Unit,
        width: int,
        top: float,
        bottom: float,
    ) -> Plot:
        """An area for these values, as wide as the labels of its ticks leave."""
        scale = value_scale(values, start=bottom, end=top, unit=unit)
        margin = max(width_of(number(tick, unit)) for tick in scale.ticks) + _GAP
        return cls(time_scale(moments, start=margin, end=width - 6), scale)

    def axes(self, unit: Unit) -> list[str]:
        """Grid lines with their values, and the hours below."""
        left, right = self.times.start, self.times.end
        lines, labels = [], []
        for tick in self.values.ticks:
            y = self.values.at(tick)
            lines.append(f"M{coordinate(left)} {coordinate(y)}H{coordinate(right)}")
            labels.append(label(left - _GAP, y + 4, number(tick, unit), anchor="end"))
        for x, words in self.times.ticks(max(2, int((right - left) / _TICK_WIDTH))):
            half = width_of(words) / 2
            at = min(max(x, half), right + 6 - half)
            labels.append(label(at, self.values.start + 17, words, anchor="middle"))
        grid = f'<path class="grid" d="{"".join(lines)}" stroke="{GRID}" stroke-opacity=".35"/>'
        return [grid, *labels]

    def line(
        self,
        points: Iterable[tuple[datetime, float | None]],
        *,
        colour: str,
        kind: str,
        dash: str = "",
    ) -> list[str]:
        """The curve; a point between two gaps is a dot."""
        strokes = [
            "M" + "L".join(self._place(m, v) for m, v in run) + ("h0" if len(run) == 1 else "")
            for run in _runs(points)
        ]
        if not strokes:
            return []
        return [stroke("".join(strokes), colour=colour, kind=kind, dash=dash)]

    def area(self, points: Iterable[tuple[datetime, float | None]]) -> list[str]:
        """What is below the curve."""
        floor = [[(moment, 0.0) for moment, _ in reversed(run)] for run in _runs(points)]
        shapes = [
            "M" + "L".join(self._place(m, v) for m, v in (*run, *back)) + "Z"
            for run, back in zip(_runs(points), floor, strict=True)
        ]
        return [_filled("area", shapes, opacity=".15")] if shapes else []

    def band(self, points: Iterable[tuple[datetime, float | None, float | None]]) -> list[str]:
        """What is between the two ends, where both are known."""
        known = [(m, (a, b) if a is not None and b is not None else None) for m, a, b in points]
        shapes = [
            "M" + "L".join(self._place(m, v) for m, v in (*upper, *lower)) + "Z"
            for run in _runs(known)
            for upper in ([(m, pair[1]) for m, pair in run],)
            for lower in ([(m, pair[0]) for m, pair in reversed(run)],)
        ]
        return [_filled("band", shapes, opacity=".2")] if shapes else []

    def diamonds(self, points: Iterable[tuple[datetime, float | None]]) -> list[str]:
        """A diamond at each point that has a value, on the axis where it has none."""
        marks = [
            f"M{coordinate(self.times.at(m) - _DIAMOND_RADIUS)} "
            f"{coordinate(self.values.at(v if v is not None else 0.0))}{DIAMOND}"
            for m, v in points
        ]
        return [f'<path class="alarm" d="{"".join(marks)}" fill="{RED}"/>'] if marks else []

    def _place(self, moment: datetime, value: float) -> str:
        return f"{coordinate(self.times.at(moment))} {coordinate(self.values.at(value))}"


def stroke(path: str, *, colour: str, kind: str, dash: str = "") -> str:
    """A line along ``path``; ``kind`` is the class by which a page gives it its own colour."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path class="line {kind}" d="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-linejoin="round" stroke-linecap="round"{dashes}/>'
    )


def _filled(kind: str, shapes: Sequence[str], *, opacity: str) -> str:
    return f'<path class="{kind}" d="{"".join(shapes)}" fill="{BLUE}" fill-opacity="{opacity}"/>'


def _runs(points: Iterable[tuple[datetime, T | None]]) -> list[list[tuple[datetime, T]]]:
    """Stretches of hours that follow each other and have a value."""
    found: list[list[tuple[datetime, T]]] = []
    previous: datetime | None = None
    for moment, value in points:
        if value is None:
            previous = None
            continue
        if previous is None or moment - previous > _HOUR:
            found.append([])
        found[-1].append((moment, value))
        previous = moment
    return found
