"""The Shapley value of the game whose worth is a conversion rate, over all coalitions.

Belongs here: coalitions and their worth. Does not belong here: the game that counts conversions,
whose value has a closed form (``rules.shared_by_channels``).

A coalition is a set of channels; its paths are those that touch no channel outside it, converting
and non-converting. Its worth is conversions (or value) per path of these, and 0 if it has none.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import numpy.typing as npt
import polars as pl

from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.paths import Paths
from adx_platform.attribution.rules import Credits

MAX_CHANNELS = 20
"""More channels have more than a million coalitions, and every further one doubles them."""

_PLACES = 12


def shapley_of_rate(paths: Paths, column: str) -> Credits:
    """Each channel's mean contribution to the rate, over all orders in which channels could join.

    The values are parts of the rate of all paths, and add up to 1. A channel can have a negative
    one: it stands in paths that convert less often than they would without it.

    Args:
        paths: converting and non-converting.
        column: what the rate is of, ``conversions_micros`` or ``value_micros``.

    Raises:
        AttributionError: there are more than :data:`MAX_CHANNELS` channels.
    """
    channels = paths.channels
    if len(channels) > MAX_CHANNELS:
        raise AttributionError(
            f"{len(channels)} channels have too many coalitions for the Shapley value of a rate "
            f"(the limit is {MAX_CHANNELS} channels): merge rare channels, or take the worth "
            "'conversions', which has no limit"
        )
    worth = _worth(paths, column, {channel: 1 << n for n, channel in enumerate(channels)})
    coalitions = np.arange(worth.size)
    members = np.bitwise_count(coalitions).astype(np.intp)
    # |S|! (n - |S| - 1)! / n!, by the size of S.
    count = len(channels)
    weight = np.array([1 / (count * comb(count - 1, size)) for size in range(count)])
    # As a part of the whole rate: a small rate keeps as many digits as a large one. The last bits
    # differ between machines; they must decide no tie.
    whole = float(worth[-1]) or 1.0
    credits_: Credits = {}
    for number, channel in enumerate(channels):
        without = coalitions[(coalitions >> number) & 1 == 0]
        gain = worth[without | (1 << number)] - worth[without]
        share = float(np.sum(weight[members[without]] * gain)) / whole
        credits_[channel] = Fraction(round(share * 10**_PLACES), 10**_PLACES)
    return credits_


def _worth(paths: Paths, column: str, bits: dict[str, int]) -> npt.NDArray[np.float64]:
    """The worth of every coalition, by the number whose bits are its members."""
    earned = np.zeros(1 << len(bits), dtype=np.int64)
    walked = np.zeros_like(earned)
    counted = paths.distinct().with_columns(
        walked=pl.col("conversions_micros") + pl.col("nulls_micros")
    )
    for path, amount, number in counted.select("path", column, "walked").iter_rows():
        coalition = sum(bits[channel] for channel in set(path))
        earned[coalition] += amount
        walked[coalition] += number
    for bit in bits.values():
        # Sums over subsets: whoever has the bit adds what the same coalition without it has.
        for sums in (earned, walked):
            halves = sums.reshape(-1, 2, bit)
            halves[:, 1] += halves[:, 0]
    return np.divide(earned, walked, out=np.zeros(earned.size), where=walked > 0)
