"""How unlikely a count is, as standard deviations of a normal variable, and the band that gives.

Belongs here: the arithmetic of a count with a given mean and variance. Does not belong here: what
mean and variance to expect (``model``), or how unlikely is too unlikely (``detector``).

A count with more variance than its mean is taken for a Poisson count in larger units (variance /
mean each). Its tails are those of the gamma distribution by Wilson and Hilferty's cube root, which
is good to a few per cent down to a mean below 1, where a normal band would call the third message
of a quiet night an alarm and a silent evening none.
"""

from __future__ import annotations

from math import cbrt, sqrt

_BISECTIONS = 40
_TINY = 1e-9


def score(count: float, mean: float, variance: float) -> float:
    """Standard deviations from the mean: below 0 for too few, above 0 for too many.

    It is 0 for the counts between the two tails; ``mean`` and ``variance`` must be above 0.
    """
    unit = variance / mean
    scaled, expected = count / unit, mean / unit
    few = _normal_of_gamma(expected, scaled + 1.0)
    if few > 0.0:
        return -few
    return max(0.0, -_normal_of_gamma(expected, max(scaled, _TINY)))


def band(
    mean: float, variance: float, low: float | None, high: float | None
) -> tuple[float | None, float | None]:
    """The counts between which the score stays within ``-low`` and ``high``.

    A side without a limit is null, and so is a lower side that no count is below.
    """
    lower = upper = None
    if low is not None and score(0.0, mean, variance) < -low:
        lower = _count_with_score(-low, 0.0, mean, mean, variance)
    if high is not None:
        unit = variance / mean
        top = mean + (high + 2.0) ** 2 * (sqrt(variance) + unit)
        upper = _count_with_score(high, mean, top, mean, variance)
    return lower, upper


def _normal_of_gamma(value: float, shape: float) -> float:
    """Where ``value`` lies in a gamma distribution of this shape, as a normal deviation."""
    return 3.0 * sqrt(shape) * (cbrt(value / shape) - 1.0 + 1.0 / (9.0 * shape))


def _count_with_score(
    wanted: float, below: float, above: float, mean: float, variance: float
) -> float:
    for _ in range(_BISECTIONS):
        middle = (below + above) / 2.0
        if score(middle, mean, variance) < wanted:
            below = middle
        else:
            above = middle
    return (below + above) / 2.0
