"""Charts of amounts: bars, a funnel, progress against a plan.

Belongs here: figures to SVG text, as pure functions. Does not belong here: curves (``charts``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from adx_platform.reporting.svg import (
    BLUE,
    GRID,
    INK,
    RED,
    Unit,
    coordinate,
    document,
    finite,
    label,
    number,
    shortened,
    text,
    width_of,
)

_ShareOf: TypeAlias = Callable[[float, float], float]
_ROW = 26
_BAR = 14
_LONGEST_LABEL = 28
_LEAST_WIDTH = 1.5
_GAP = 8

PROGRESS_RANGE: Final = 1.5
"""A progress bar is full at this multiple of its plan, so that going over it shows."""

ON_PLAN: Final = (0.9, 1.1)
"""Between these shares of the plan a progress is called on plan."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One amount; ``note`` is said behind it."""

    label: str
    value: float
    note: str = ""


def bar_chart(bars: Sequence[Bar], *, title: str, unit: Unit = "number", width: int = 460) -> str:
    """Amounts side by side, in the order given; an amount below 0 has no length."""
    return _bars(bars, title=title, unit=unit, width=width, share=_linear)


def funnel_chart(steps: Sequence[Bar], *, title: str, width: int = 460) -> str:
    """Steps of a funnel; lengths are logarithmic, or the last steps could not be seen."""
    return _bars(steps, title=title, unit="number", width=width, share=_logarithmic)


def progress_bar(share: float | None, *, title: str) -> str:
    """How much of a plan is done, as a strip without text that may be stretched.

    The plan itself is the line at two thirds; None: there is no plan.
    """
    known = finite(share)
    if known is None:
        return _strip([], title=title, description="no plan")
    length = 100 * min(max(known, 0.0), PROGRESS_RANGE) / PROGRESS_RANGE
    colour = RED if known > ON_PLAN[1] else BLUE
    filled = (
        f'<rect class="pace {pace_of(known)}" y="2" width="{coordinate(length)}" height="6" '
        f'fill="{colour}"/>'
    )
    plan = (
        f'<path class="plan" d="M{coordinate(100 / PROGRESS_RANGE)} 0v10" stroke="{INK}" '
        'stroke-width="2" vector-effect="non-scaling-stroke"/>'
    )
    return _strip(
        [filled, plan], title=title, description=f"{number(known, 'percent')} of the plan"
    )


def pace_of(share: float) -> Literal["under", "on", "over"]:
    """Whether a share of the plan is under it, on it or over it."""
    low, high = ON_PLAN
    if share < low:
        return "under"
    return "over" if share > high else "on"


def _strip(parts: Sequence[str], *, title: str, description: str) -> str:
    track = f'<rect class="track" y="2" width="100" height="6" fill="{GRID}" fill-opacity=".25"/>'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 100 10" width="100" '
        f'height="10" preserveAspectRatio="none" class="strip"><title>{text(title)}</title>'
        f"<desc>{text(description)}</desc>{track}{''.join(parts)}</svg>"
    )


def _linear(value: float, largest: float) -> float:
    return value / largest


def _logarithmic(value: float, largest: float) -> float:
    return math.log1p(value) / math.log1p(largest)


def _bars(bars: Sequence[Bar], *, title: str, unit: Unit, width: int, share: _ShareOf) -> str:
    if not bars:
        parts = [label(width / 2, _ROW * 0.7, "no data yet", anchor="middle")]
        return document(parts, width=width, height=_ROW, title=title, description="No data yet.")
    values = [max(finite(bar.value) or 0.0, 0.0) for bar in bars]
    largest = max(values) or 1.0
    names = [shortened(bar.label, _LONGEST_LABEL) for bar in bars]
    figures = [
        f"{number(value, unit)}  {bar.note}".rstrip()
        for value, bar in zip(values, bars, strict=True)
    ]
    left = max(width_of(name) for name in names) + _GAP
    room = max(width - left - max(width_of(words) for words in figures) - _GAP, 20.0)
    parts = []
    for row, (name, words, value) in enumerate(zip(names, figures, values, strict=True)):
        y = row * _ROW + (_ROW - _BAR) / 2
        length = max(share(value, largest) * room, _LEAST_WIDTH if value else 0.0)
        parts += [
            label(left - _GAP, y + 11, name, anchor="end"),
            _bar(left, y, length),
            label(left + length + _GAP, y + 11, words),
        ]
    said = "; ".join(f"{bar.label}: {words}" for bar, words in zip(bars, figures, strict=True))
    return document(
        parts, width=width, height=len(bars) * _ROW, title=title, description=f"{said}."
    )


def _bar(x: float, y: float, length: float) -> str:
    return (
        f'<rect class="bar" x="{coordinate(x)}" y="{coordinate(y)}" width="{coordinate(length)}" '
        f'height="{_BAR}" rx="2" fill="{BLUE}"/>'
    )
