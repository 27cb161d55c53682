"""The score of a count against exact Poisson tails, and the band against the score."""

from __future__ import annotations

from math import exp
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.quality.anomaly.tails import band, score

means = st.floats(0.01, 1e6)
dispersions = st.floats(1.0, 50.0)


def exact(count: int, mean: float) -> float:
    """Deviation of the exact tail that ``count`` lies in."""
    term, below = exp(-mean), 0.0
    for number in range(count):
        below += term
        term *= mean / (number + 1)
    at_most, at_least = below + term, min(max(1.0 - below, 1e-12), 1.0 - 1e-12)
    normal = NormalDist()
    return normal.inv_cdf(at_most) if at_most < 0.5 else -normal.inv_cdf(at_least)


@pytest.mark.parametrize("mean", [0.5, 2.0, 8.0, 30.0])
def test_a_score_is_that_of_the_exact_tail(mean: float) -> None:
    for count in range(int(mean + 5 * mean**0.5) + 2):
        wanted = exact(count, mean)
        if abs(wanted) < 0.5 or abs(wanted) > 5.0:
            continue
        assert score(count, mean, mean) == pytest.approx(wanted, abs=0.15), count


def test_dispersion_makes_counts_less_telling() -> None:
    assert score(20.0, 60.0, 60.0) < score(20.0, 60.0, 600.0) < -1.0
    assert score(200.0, 60.0, 60.0) > score(200.0, 60.0, 600.0) > 1.0


@given(mean=means, dispersion=dispersions, low=st.floats(1, 8), high=st.floats(1, 8))
def test_the_band_is_where_the_score_reaches_its_limits(
    mean: float, dispersion: float, low: float, high: float
) -> None:
    lower, upper = band(mean, mean * dispersion, low, high)

    assert upper is not None
    assert upper > mean
    assert score(upper * 1.001 + 1e-6, mean, mean * dispersion) >= high - 1e-6
    assert score(upper * 0.999 - 1e-6, mean, mean * dispersion) <= high + 1e-6
    if lower is None:
        assert score(0.0, mean, mean * dispersion) >= -low
    else:
        assert 0.0 <= lower < mean
        assert score(lower * 0.999, mean, mean * dispersion) <= -low + 1e-3


@given(mean=means, dispersion=dispersions, counts=st.lists(st.floats(0, 2e6), min_size=2))
def test_more_is_never_a_lower_score(mean: float, dispersion: float, counts: list[float]) -> None:
    # Beyond six deviations only the side matters, and every limit is far inside or beside it.
    scores = [
        max(-6.0, min(6.0, score(count, mean, mean * dispersion))) for count in sorted(counts)
    ]

    assert scores == pytest.approx(sorted(scores), abs=1e-6)


def test_a_side_without_a_limit_has_no_band() -> None:
    assert band(50.0, 50.0, None, None) == (None, None)
