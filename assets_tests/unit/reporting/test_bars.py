from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.reporting.bars import Bar, bar_chart, funnel_chart, pace_of, progress_bar

SVG = "{http://www.w3.org/2000/svg}"
names = st.text(max_size=60) | st.sampled_from(["<script>", "\x00", "\ud800", '"x', "a & b"])
bars = st.lists(st.builds(Bar, label=names, value=st.floats(), note=names), max_size=8)


def parsed(svg: str) -> ET.Element:
    root = ET.fromstring(svg)
    for element in root.iter():
        for name in ("x", "y", "width", "height", "d"):
            assert not re.search(r"nan|inf|e[+-]?\d|-", element.get(name, ""))
    return root


def lengths(svg: str) -> list[float]:
    return [float(e.get("width", "")) for e in parsed(svg).iter(f"{SVG}rect")]


@given(bars, names)
def test_any_bars_are_well_formed(given_bars: list[Bar], title: str) -> None:
    for drawn in (bar_chart(given_bars, title=title), funnel_chart(given_bars, title=title)):
        root = parsed(drawn)
        assert len(list(root.iter(f"{SVG}rect"))) == len(given_bars)
        assert (root[1].text or "").strip()


@given(st.none() | st.floats(), names)
def test_any_progress_is_well_formed(share: float | None, title: str) -> None:
    for length in lengths(progress_bar(share, title=title)):
        assert 0 <= length <= 100


def test_bars_are_as_long_as_their_amounts() -> None:
    long, half, none = lengths(
        bar_chart([Bar("a", 200), Bar("b", 100), Bar("c", 0)], title="t")
    )  # fmt: skip
    assert half == pytest.approx(long / 2, abs=0.1)
    assert none == 0


def test_the_last_step_of_a_funnel_is_seen_beside_a_huge_first_one() -> None:
    found = lengths(funnel_chart([Bar("requests", 10**9), Bar("clicks", 3)], title="t"))
    assert found[0] > found[1] >= 10


def test_bars_say_their_amounts_and_notes() -> None:
    root = parsed(bar_chart([Bar("bad_magic", 1234, "bid_requests")], title="Rejects"))
    assert "bad_magic: 1.23k  bid_requests." in (root[1].text or "")


@pytest.mark.parametrize(
    ("share", "pace", "length"),
    [(0.0, "under", 0), (0.89, "under", 59.3), (1.0, "on", 66.7), (1.11, "over", 74.0),
     (9.0, "over", 100)],
)  # fmt: skip
def test_progress_against_the_plan(share: float, pace: str, length: float) -> None:
    drawn = progress_bar(share, title="Spend")
    assert lengths(drawn)[1] == pytest.approx(length, abs=0.1)
    assert pace_of(share) == pace
    assert f'class="pace {pace}"' in drawn


def test_without_a_plan_nothing_is_claimed() -> None:
    root = parsed(progress_bar(None, title="Spend"))
    assert root[1].text == "no plan"
    assert len(list(root.iter(f"{SVG}rect"))) == 1
