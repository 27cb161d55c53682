"""Windows are merged without losing a point, and every open end is closed."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from adx_platform.quality.incidents.model import SeriesWindow
from adx_platform.quality.incidents.windows import closed, merged
from assets_tests.unit.quality.incidents.findings import NOON

HOURS = st.integers(0, 12)


def window(start: int, end: int | None, key: str = "a") -> SeriesWindow:
    return SeriesWindow("volume", key, hour(start), None if end is None else hour(end))


def hour(number: int) -> object:
    return NOON + timedelta(hours=number)


def covered(windows: tuple[SeriesWindow, ...]) -> set[tuple[str, int]]:
    return {
        (w.key, number)
        for w in windows
        for number in range(40)
        if w.start <= hour(number) and (w.end is None or hour(number) < w.end)
    }


WINDOWS = st.lists(
    st.builds(
        lambda start, length, key: window(start, None if length is None else start + length, key),
        HOURS,
        st.none() | st.integers(1, 6),
        st.sampled_from("ab"),
    ),
    max_size=8,
).map(tuple)


@given(WINDOWS)
def test_merged_windows_cover_the_same_points_and_do_not_touch(
    windows: tuple[SeriesWindow, ...],
) -> None:
    result = merged(windows)

    assert covered(result) == covered(windows)
    assert merged(reversed(result)) == result
    for one in result:
        others = [w for w in result if w is not one and w.key == one.key]
        assert all(one.end is not None and one.end < w.start for w in others if w.start > one.start)


@given(WINDOWS)
def test_closing_leaves_no_open_end_and_changes_no_closed_one(
    windows: tuple[SeriesWindow, ...],
) -> None:
    result = closed(windows)

    assert all(w.end is not None and w.end > w.start for w in result)
    assert [r for r, w in zip(result, windows, strict=True) if w.end is not None] == [
        w for w in windows if w.end is not None
    ]


def test_an_open_end_is_closed_where_the_series_is_good_again() -> None:
    good = [window(1, 2), window(5, 6), window(4, 5), window(3, 9, key="b")]

    assert closed([window(2, None)], good) == (window(2, 4),)
    assert closed([window(7, None)], good) == (window(7, 8),)
