"""Drawing by hand: the SVG document, scales, ticks, and numbers as people read them.

Belongs here: what every chart needs and no chart is. Does not belong here: the charts themselves
(``charts``, ``bars``).

A chart is one text without scripts, styles or references, so that it may stand in a page whose
content security policy forbids everything, in a data address, or in a file. Its colours are
presentation attributes of middle lightness, readable on white and on black; a page that knows its
background overrides them by class.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final, Literal

Unit = Literal["number", "percent"]

INK: Final = "#72777f"
GRID: Final = "#8a919c"
BLUE: Final = "#3a7fd0"
RED: Final = "#db4a3f"
SERIES_COLOURS: Final = (BLUE, "#b7711a", "#2f8f5b", "#9b5fc0")
DASHES: Final = ("", "6 3", "2 3", "9 3 2 3")
"""A second sign beside the colour: the lines differ without it."""

FONT_SIZE: Final = 12
# How wide a character of a common sans-serif face is, in parts of the font size. Rather too wide:
# it only places text, and what is placed too tightly is cut off at the edge.
_CHARACTER_WIDTH = 0.62
_WIDE_CHARACTER_WIDTH = 0.95
_WIDE_CHARACTERS = frozenset("%@mwMW\N{HORIZONTAL ELLIPSIS}")

# Beyond these a float's own arithmetic overflows or vanishes; no figure of a market comes near.
_LARGEST = 1e300
_SMALLEST = 1e-12
_TICKS = 4
# Everything that XML 1.0 has no place for, not even escaped.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
_HOUR = 3_600
_DAY = 24 * _HOUR
_TIME_STEPS = (*(_HOUR * hours for hours in (1, 2, 3, 6, 12)), *(_DAY * days for days in (1, 2, 7)))


def text(value: str) -> str:
    """``value`` as character data or attribute value of XML, whatever it holds."""
    return escape(_NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", value), quote=True)


def shortened(value: str, length: int) -> str:
    """At most ``length`` characters of ``value``, an ellipsis in place of the rest."""
    return (
        value if len(value) <= length else value[: max(length - 1, 0)] + "\N{HORIZONTAL ELLIPSIS}"
    )


def finite(value: float | None) -> float | None:
    """``value`` where it can be drawn: no infinity, no NaN, within what floats can subtract."""
    if value is None or not math.isfinite(value):
        return None
    if abs(value) < _SMALLEST:
        return 0.0
    return max(-_LARGEST, min(_LARGEST, float(value)))


def number(value: float, unit: Unit = "number") -> str:
    """A figure in few characters: ``1.25M``, ``340``, ``0.42``, ``3.1%``."""
    if unit == "percent":
        return f"{_significant(value * 100)}%"
    size = abs(value)
    if size >= 1e15:  # noqa: PLR2004 - no suffix that people read without thinking
        return f"{value:.2e}"
    for bound, suffix in _SUFFIXES:
        if size >= bound:
            return f"{_significant(value / bound)}{suffix}"
    return _significant(value)


def _significant(value: float) -> str:
    """Three significant digits, written out, without trailing zeros."""
    if value == 0:
        return "0"
    if abs(value) >= 1e15 or abs(value) < 1e-6:  # noqa: PLR2004 - bounds of plain notation
        return f"{value:.2e}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    shown = f"{value:,.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def coordinate(value: float) -> str:
    """A place in the drawing with a tenth of a pixel, as short as it can be written."""
    shown = f"{value:.1f}"
    return shown.removesuffix(".0") if shown != "-0.0" else "0"


def width_of(label: str) -> float:
    """About how wide ``label`` is drawn."""
    wide = sum(character in _WIDE_CHARACTERS for character in label)
    parts = (len(label) - wide) * _CHARACTER_WIDTH + wide * _WIDE_CHARACTER_WIDTH
    return parts * FONT_SIZE


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to places on one axis, and knows its ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...] = ()

    def at(self, value: float) -> float:
        """Where ``value`` is drawn."""
        # Halved: the distance of two huge values of different sign is no float.
        part = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + part * (self.end - self.start)


def value_scale(
    values: Iterable[float], *, start: float, end: float, unit: Unit = "number"
) -> Scale:
    """A scale with round ticks that holds all ``values`` and 0."""
    known = [0.0, *values]
    low, high = min(known), max(known)
    if high == low:
        high = 0.1 if unit == "percent" else 1.0
    step = _round_step(high / _TICKS - low / _TICKS)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(index * step for index in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], start, end, ticks)


def _round_step(rough: float) -> float:
    exponent = math.floor(math.log10(rough))
    base = float(f"1e{exponent}")
    return next(base * factor for factor in (1, 2, 2.5, 5, 10) if base * factor >= rough * 0.999)


def utc(moment: datetime) -> datetime:
    """``moment`` in UTC, without its zone; one without a zone is taken as UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Maps moments of UTC to places on one axis."""

    first: datetime
    seconds: float
    start: float
    end: float

    def at(self, moment: datetime) -> float:
        """Where ``moment`` is drawn; a single moment is drawn in the middle."""
        if not self.seconds:
            return (self.start + self.end) / 2
        part = (moment - self.first).total_seconds() / self.seconds
        return self.start + part * (self.end - self.start)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Places and labels of at most ``most`` round moments."""
        step = next((s for s in _TIME_STEPS if self.seconds / s < most), None)
        if step is None:
            step = _DAY * math.ceil(self.seconds / _DAY / most)
        midnight = self.first.replace(hour=0, minute=0, second=0, microsecond=0)
        offset = (self.first - midnight).total_seconds()
        count = math.ceil(offset / step)
        found: list[tuple[float, str]] = []
        while count * step - offset <= self.seconds:
            moment = midnight + timedelta(seconds=count * step)
            found.append((self.at(moment), _moment(moment, step)))
            count += 1
        return found


def time_scale(moments: Sequence[datetime], *, start: float, end: float) -> TimeScale:
    """A scale from the first to the last of ``moments``, which are in order and not empty."""
    return TimeScale(moments[0], (moments[-1] - moments[0]).total_seconds(), start, end)


def _moment(moment: datetime, step: float) -> str:
    if step < _DAY and (moment.hour or moment.minute):
        return f"{moment:%H:%M}"
    return day(moment)


def day(moment: datetime) -> str:
    """The day, in the same words in every locale: ``2 Mar``."""
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def hour(moment: datetime) -> str:
    """The hour: ``2 Mar 14:00``."""
    return f"{day(moment)} {moment:%H:%M}"


def label(
    x: float,
    y: float,
    value: str,
    *,
    anchor: Literal["start", "middle", "end"] = "start",
    bold: bool = False,
) -> str:
    """One line of text."""
    extras = (f' text-anchor="{anchor}"' if anchor != "start" else "") + (
        ' font-weight="600"' if bold else ""
    )
    return f'<text x="{coordinate(x)}" y="{coordinate(y)}"{extras}>{text(value)}</text>'


def document(parts: Iterable[str], *, width: int, height: int, title: str, description: str) -> str:
    """The whole drawing; ``title`` and ``description`` are what a screen reader says."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="system-ui,sans-serif" '
        f'font-size="{FONT_SIZE}" fill="{INK}" class="chart">'
        f"<title>{text(title)}</title><desc>{text(description)}</desc>{''.join(parts)}</svg>"
    )


def data_address(svg: str) -> str:
    """The drawing as a ``data:`` address, for Markdown or the ``src`` of an image."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
