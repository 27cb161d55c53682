"""Charts over time: a series against the band it was expected in, and curves by the hour.

Belongs here: figures to SVG text, as pure functions; the same figures give the same text. Does not
belong here: where the figures come from, and the page around the chart.

Nothing is told by colour alone: what is out of its band is a diamond, lines differ in their dashes,
and the description says the figures in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from adx_platform.reporting.plot import DIAMOND, Plot, stroke
from adx_platform.reporting.svg import (
    BLUE,
    DASHES,
    FONT_SIZE,
    RED,
    SERIES_COLOURS,
    Unit,
    coordinate,
    document,
    finite,
    hour,
    label,
    number,
    shortened,
    utc,
    width_of,
)

_NAMED_ANOMALIES = 5


@dataclass(frozen=True, slots=True)
class BandPoint:
    """One hour of a measured series and the band that it was expected in.

    Attributes:
        hour: its start; without a zone it is taken as UTC.
        observed: what was measured; None: nothing was.
        low: lower end of the band; None: nothing was expected yet.
        high: upper end of the band.
        anomalous: whether the check calls it out of the band.
    """

    hour: datetime
    observed: float | None
    low: float | None
    high: float | None
    anomalous: bool


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: its name and its values by the hour; None where there is nothing to draw."""

    name: str
    points: Sequence[tuple[datetime, float | None]]


def band_chart(
    points: Sequence[BandPoint],
    *,
    title: str,
    unit: Unit = "number",
    width: int = 720,
    height: int = 220,
) -> str:
    """A series, the band around what was expected of it, and the hours that left the band.

    Under 12 kB for seven days of hours. A line is broken where an hour is missing.
    """
    points = _in_order(points)
    head = label(0, FONT_SIZE + 1, shortened(title, int(width / 7.2)), bold=True)
    if not points:
        parts = [head, label(width / 2, height / 2, "no data yet", anchor="middle")]
        return document(parts, width=width, height=height, title=title, description="No data yet.")
    values = [v for p in points for v in (p.observed, p.low, p.high) if v is not None]
    plot = Plot.around(
        [p.hour for p in points], values, unit=unit, width=width, top=44, bottom=height - 22
    )
    parts = [
        head,
        *_band_legend(width),
        *plot.axes(unit),
        *plot.band([(p.hour, p.low, p.high) for p in points]),
        *plot.line([(p.hour, p.observed) for p in points], colour=BLUE, kind="s1"),
        *plot.diamonds([(p.hour, p.observed) for p in points if p.anomalous]),
    ]
    return document(
        parts, width=width, height=height, title=title, description=_band_words(points, unit)
    )


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    unit: Unit = "number",
    width: int = 460,
    height: int = 210,
) -> str:
    """Curves by the hour on one axis.

    A single one is filled down to the axis and has no legend: the title names it.
    """
    curves = [_clean(each) for each in series]
    moments = sorted({moment for curve in curves for moment, _ in curve.points})
    if not moments:
        parts = [label(width / 2, height / 2, "no data yet", anchor="middle")]
        return document(parts, width=width, height=height, title=title, description="No data yet.")
    values = [v for curve in curves for _, v in curve.points if v is not None]
    legend, rows = _legend([c.name for c in curves], width) if len(curves) > 1 else ([], 0)
    plot = Plot.around(
        moments, values, unit=unit, width=width, top=8 + rows * 18, bottom=height - 22
    )
    parts = [*legend, *plot.axes(unit)]
    if len(curves) == 1:
        parts += plot.area(curves[0].points)
    for index, curve in enumerate(curves):
        parts += plot.line(
            curve.points,
            colour=SERIES_COLOURS[index % len(SERIES_COLOURS)],
            kind=f"s{index % len(SERIES_COLOURS) + 1}",
            dash=DASHES[index % len(DASHES)],
        )
    return document(
        parts, width=width, height=height, title=title, description=_lines_words(curves, unit)
    )


def _in_order(points: Iterable[BandPoint]) -> list[BandPoint]:
    cleaned = [
        replace(
            point,
            hour=utc(point.hour),
            observed=finite(point.observed),
            low=finite(point.low),
            high=finite(point.high),
        )
        for point in points
    ]
    return sorted(cleaned, key=lambda point: point.hour)


def _clean(series: Series) -> Series:
    points = sorted(((utc(moment), finite(v)) for moment, v in series.points), key=lambda p: p[0])
    return Series(series.name, points)


def _band_legend(width: int) -> list[str]:
    """What the three signs mean, in the row below the title."""
    y = 2 * FONT_SIZE + 8
    return [
        stroke(f"M0 {y - 4}h18", colour=BLUE, kind="s1"),
        label(24, y, "observed"),
        f'<path class="band" d="M90 {y - 9}h18v10h-18z" fill="{BLUE}" fill-opacity=".2"/>',
        label(114, y, "expected"),
        f'<path class="alarm" d="M181 {y - 4}{DIAMOND}" fill="{RED}"/>',
        label(191, y, "out of the band"),
        label(width, y, "hours in UTC", anchor="end"),
    ]


def _legend(names: Sequence[str], width: int) -> tuple[list[str], int]:
    """Samples with the names beside them, in as many rows as they need, and that number."""
    parts: list[str] = []
    x, row = 0.0, 0
    for index, name in enumerate(names):
        shown = shortened(name, 40)
        if x and x + 30 + width_of(shown) > width:
            x, row = 0.0, row + 1
        y = FONT_SIZE + 18 * row
        colour = SERIES_COLOURS[index % len(SERIES_COLOURS)]
        dash = DASHES[index % len(DASHES)]
        sample = f"M{coordinate(x)} {y - 4}h20"
        kind = f"s{index % len(SERIES_COLOURS) + 1}"
        parts += [stroke(sample, colour=colour, kind=kind, dash=dash), label(x + 26, y, shown)]
        x += 26 + width_of(shown) + 18
    return parts, row + 1


def _band_words(points: Sequence[BandPoint], unit: Unit) -> str:
    odd = [point for point in points if point.anomalous]
    words = f"{len(points)} hours from {hour(points[0].hour)} to {hour(points[-1].hour)} UTC. "
    if not odd:
        return words + "No hour is out of the band."
    named = "; ".join(_anomaly(point, unit) for point in odd[-_NAMED_ANOMALIES:])
    return words + f"{len(odd)} out of the band, the newest: {named}."


def _anomaly(point: BandPoint, unit: Unit) -> str:
    seen = "nothing" if point.observed is None else number(point.observed, unit)
    if point.low is None or point.high is None:
        return f"{hour(point.hour)} {seen}"
    return (
        f"{hour(point.hour)} {seen}, expected {number(point.low, unit)} to "
        f"{number(point.high, unit)}"
    )


def _lines_words(curves: Sequence[Series], unit: Unit) -> str:
    words = []
    for curve in curves:
        known = [(moment, value) for moment, value in curve.points if value is not None]
        if not known:
            words.append(f"{curve.name}: no data.")
            continue
        top = max(known, key=lambda point: point[1])
        words.append(
            f"{curve.name}: {len(known)} hours, newest {number(known[-1][1], unit)}, "
            f"highest {number(top[1], unit)} at {hour(top[0])} UTC."
        )
    return " ".join(words)
