from __future__ import annotations

import base64
import math
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.reporting.charts import BandPoint, Series, band_chart, line_chart
from adx_platform.reporting.svg import data_address, number, value_scale

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 3, 2, tzinfo=UTC)

figures = st.none() | st.floats() | st.integers(-(10**6), 10**6)
moments = st.floats(-1e9, 4e9).map(
    lambda s: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)
moments |= st.integers(0, 30).map(lambda hour: START + timedelta(hours=hour))
moments |= moments.map(lambda moment: moment.replace(tzinfo=None))
names = st.text(max_size=80) | st.sampled_from(
    ["<script>alert(1)</script>", "]]>", "\x00\x0b", "a & b", '" onload="x', "\ud800", "\ufffe"]
)
units = st.sampled_from(["number", "percent"])
any_band = st.builds(
    BandPoint,
    hour=moments,
    observed=figures,
    low=figures,
    high=figures,
    anomalous=st.booleans(),
)


def hours(count: int) -> list[BandPoint]:
    """A wave by the hour of the day, one hour of each day out of the band."""
    found = []
    for index in range(count):
        expected = 12_345.678 + 9_876.5 * math.sin(index / 24 * 2 * math.pi)
        odd = index % 24 == 20
        found.append(
            BandPoint(
                START + timedelta(hours=index),
                expected * (0.2 if odd else 1.01),
                expected * 0.8,
                expected * 1.2,
                odd,
            )
        )
    return found


def parsed(svg: str) -> ET.Element:
    """The drawing; whatever the figures are, it is XML and every number in it is one."""
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    for element in root.iter():
        for name in ("d", "x", "y", "viewBox"):
            assert not re.search(r"nan|inf|[eE][+-]?\d", element.get(name, "")), element.attrib
        assert element.tag.removeprefix(SVG) in {"svg", "title", "desc", "path", "text", "rect"}
    return root


@given(st.lists(any_band, max_size=12), names, units)
def test_any_band_is_well_formed(points: list[BandPoint], title: str, unit: str) -> None:
    root = parsed(band_chart(points, title=title, unit=unit))  # type: ignore[arg-type] # sampled
    assert root[0].tag == f"{SVG}title"
    assert (root[1].text or "").strip()


@given(
    st.lists(
        st.builds(
            Series, name=names, points=st.lists(st.tuples(moments, figures), max_size=8)
        ),
        max_size=5,
    ),
    names,
    units,
)  # fmt: skip
def test_any_curves_are_well_formed(series: list[Series], title: str, unit: str) -> None:
    parsed(line_chart(series, title=title, unit=unit))  # type: ignore[arg-type] # sampled


@given(st.lists(st.floats(-1e300, 1e300), max_size=6), units)
def test_a_scale_holds_its_values_on_few_round_ticks(values: list[float], unit: str) -> None:
    known = [0.0 if abs(value) < 1e-12 else value for value in values]
    scale = value_scale(known, start=200, end=10, unit=unit)  # type: ignore[arg-type] # sampled
    assert 2 <= len(scale.ticks) <= 8
    assert all(
        later > earlier for earlier, later in zip(scale.ticks, scale.ticks[1:], strict=False)
    )
    for value in known:
        assert 10 - 1e-6 <= scale.at(value) <= 200 + 1e-6


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0, "number", "0"), (1_250_000.0, "number", "1.25M"), (999.0, "number", "999"),
        (1_000.0, "number", "1k"), (-2_500.0, "number", "-2.5k"), (0.4236, "number", "0.424"),
        (3.1e12, "number", "3.1T"), (4.5e20, "number", "4.50e+20"), (1e-9, "number", "1.00e-09"),
        (0.031, "percent", "3.1%"), (1.0, "percent", "100%"), (0.00042, "percent", "0.042%"),
    ],
)  # fmt: skip
def test_figures_are_short(value: float, unit: str, shown: str) -> None:
    assert number(value, unit) == shown  # type: ignore[arg-type] # parametrized


def test_seven_days_of_hours_are_small_and_always_the_same() -> None:
    drawn = band_chart(hours(168), title="Messages of ad_impressions")
    assert len(drawn.encode()) < 12_000
    assert drawn == band_chart(list(reversed(hours(168))), title="Messages of ad_impressions")
    every_hour = [BandPoint(p.hour, p.observed, p.low, p.high, True) for p in hours(168)]
    assert len(band_chart(every_hour, title="x" * 500).encode()) < 13_000


def test_what_left_the_band_is_a_diamond_and_is_named() -> None:
    root = parsed(band_chart(hours(48), title="Volume"))
    (diamonds,) = [e for e in root.iter(f"{SVG}path") if e.get("class") == "alarm"][1:]
    assert diamonds.get("d", "").count("M") == 2
    description = root[1].text or ""
    assert "48 hours from 2 Mar 00:00 to 3 Mar 23:00 UTC" in description
    assert "2 out of the band, the newest: 2 Mar 20:00" in description
    assert "3 Mar 20:00" in description
    assert "expected" in description


def test_nothing_out_of_the_band_is_said() -> None:
    root = parsed(band_chart(hours(10), title="Volume"))
    assert "No hour is out of the band" in (root[1].text or "")
    assert len([e for e in root.iter(f"{SVG}path") if e.get("class") == "alarm"]) == 1, "legend"


def test_an_hour_without_a_value_breaks_the_line_and_the_band() -> None:
    points = hours(6)
    points[2] = BandPoint(points[2].hour, None, None, None, False)
    del points[4]
    root = parsed(band_chart(points, title="Volume"))
    line = [e for e in root.iter(f"{SVG}path") if e.get("class") == "line s1"][1]
    band = [e for e in root.iter(f"{SVG}path") if e.get("class") == "band"][1]
    # Hours 0-1, 3, 5; the single ones are dots.
    assert line.get("d", "").count("M") == 3
    assert line.get("d", "").count("h0") == 2
    assert band.get("d", "").count("M") == 3


def test_a_missing_hour_that_is_an_anomaly_is_marked_on_the_axis() -> None:
    points = [*hours(5), BandPoint(START + timedelta(hours=5), None, 10_000, 20_000, True)]
    root = parsed(band_chart(points, title="Volume"))
    assert "2 Mar 05:00 nothing, expected 10k to 20k" in (root[1].text or "")
    assert len([e for e in root.iter(f"{SVG}path") if e.get("class") == "alarm"]) == 2


@pytest.mark.parametrize("drawn", [band_chart([], title="t"), line_chart([], title="t")])
def test_nothing_to_draw_says_so(drawn: str) -> None:
    root = parsed(drawn)
    assert "no data yet" in "".join(root.itertext())


def test_one_point_is_a_dot_with_its_day() -> None:
    root = parsed(band_chart(hours(1), title="Volume"))
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert "2 Mar" in words
    assert [e for e in root.iter(f"{SVG}path") if "h0" in e.get("d", "")]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(6, "03:00"), (24, "06:00"), (72, "4 Mar"), (24 * 90, "1 Apr")],
)
def test_hours_have_round_labels(count: int, expected: str) -> None:
    words = [e.text for e in parsed(band_chart(hours(count), title="t")).iter(f"{SVG}text")]
    assert expected in words


def test_curves_differ_without_colours_and_are_named() -> None:
    points = [(START + timedelta(hours=h), float(h)) for h in range(5)]
    names = ["bids", "views", "clicks"]
    root = parsed(line_chart([Series(name, points) for name in names], title="Messages"))
    lines = [e for e in root.iter(f"{SVG}path") if str(e.get("class")).startswith("line")]
    assert len(lines) == 6, "each once in the legend"
    assert len({e.get("stroke-dasharray") for e in lines}) == 3
    words = [e.text for e in root.iter(f"{SVG}text")]
    assert set(names) <= set(words)
    assert "bids: 5 hours, newest 4, highest 4 at 2 Mar 04:00 UTC." in (root[1].text or "")


def test_a_single_curve_is_filled() -> None:
    points = [(START + timedelta(hours=h), float(h)) for h in range(5)]
    root = parsed(line_chart([Series("spend", points)], title="Spend"))
    assert [e for e in root.iter(f"{SVG}path") if e.get("class") == "area"]


def test_a_long_title_is_cut_where_it_is_drawn_and_whole_where_it_is_said() -> None:
    title = "exchange " * 60
    root = parsed(band_chart(hours(3), title=title))
    drawn = next(root.iter(f"{SVG}text")).text or ""
    assert len(drawn) <= 100
    assert drawn.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert root[0].text == title


def test_the_address_holds_the_drawing() -> None:
    drawn = band_chart(hours(3), title="t")
    head, _, body = data_address(drawn).partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(body).decode() == drawn
