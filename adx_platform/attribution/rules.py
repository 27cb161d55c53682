"""The rules: models that look at one path at a time.

Belongs here: last and first touch, linear, time decay, position based, and the Shapley value of the
game of converted paths, which is such a rule too. Does not belong here: models that compare paths
(``markov``, ``shapley``).

Each rule gives every touch an exact share ``numerator / denominator`` of its path, so that credits
are sums of integers: the order of rows changes nothing, and no digit is lost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import TypeAlias

import polars as pl

from adx_platform.attribution.paths import Paths

Credits: TypeAlias = dict[str, Fraction]
"""Micros that each channel earned, exactly; every channel of the paths is in it."""

# A share of time decay is an irrational number: it is kept to twelve places.
_DECAY_DENOMINATOR = 10**12
# Columns of one touch, as :func:`_credits` offers them to a rule.
_POSITION = pl.col("position")
_LENGTH = pl.col("length")
_IS_FIRST = _POSITION == 0
_IS_LAST = _POSITION == _LENGTH - 1
_FEW = _LENGTH <= 2  # noqa: PLR2004 nobody is between first and last


def last_touch(paths: Paths, column: str) -> Credits:
    """All credit to the last touch of a path."""
    return _credits(paths, column, _IS_LAST, pl.lit(1))


def first_touch(paths: Paths, column: str) -> Credits:
    """All credit to the first touch of a path."""
    return _credits(paths, column, _IS_FIRST, pl.lit(1))


def linear(paths: Paths, column: str) -> Credits:
    """The same credit for every touch: a channel with two touches of five earns two fifths."""
    return _credits(paths, column, pl.lit(1), _LENGTH)


def position_based(paths: Paths, column: str) -> Credits:
    """40 % for the first touch, 40 % for the last, 20 % in equal parts for those between.

    The only touch of a path earns all; two touches earn half each.
    """
    is_end = _IS_FIRST | _IS_LAST
    return _credits(
        paths,
        column,
        pl.when(_FEW | ~is_end).then(1).otherwise(2),
        pl.when(_FEW).then(_LENGTH).when(is_end).then(5).otherwise(5 * (_LENGTH - 2)),
    )


def time_decay(
    paths: Paths, column: str, *, half_life: timedelta, half_life_touches: float
) -> Credits:
    """Credit that halves with every half-life between a touch and the conversion.

    Args:
        paths: with times, age is time; without, it is the number of touches that came after.
        column: ``conversions_micros`` or ``value_micros``.
        half_life: for paths with times.
        half_life_touches: for paths without.
    """
    if paths.has_times:
        age = pl.col("ages_micros") / (half_life / timedelta(microseconds=1))
    else:
        age = (_LENGTH - 1 - _POSITION) / half_life_touches
    # From the newest touch, whose weight is 1: however old all are, they do not vanish together.
    weight = pl.lit(2.0) ** (age.min().over("path_id") - age)
    share = weight / weight.sum().over("path_id")
    numerator = (share * _DECAY_DENOMINATOR).round()
    return _credits(paths, column, numerator, pl.lit(_DECAY_DENOMINATOR))


def shared_by_channels(paths: Paths, column: str) -> Credits:
    """The same credit for every channel of a path, however many touches it has.

    This is the Shapley value of the game in which a coalition is worth the conversions of those
    paths that need no channel outside it: that game is a sum of one unanimity game per path, and
    the Shapley value of a unanimity game divides it equally among its members.
    """
    channels = pl.col("path").list.unique(maintain_order=True)
    alone = replace(paths, frame=paths.frame.with_columns(channels), has_times=False)
    return _credits(alone, column, pl.lit(1), _LENGTH)


def _credits(paths: Paths, column: str, numerator: pl.Expr, denominator: pl.Expr) -> Credits:
    length = pl.col("path").list.len().cast(pl.Int64)
    by_touch = ["path", "position", *(["ages_micros"] if paths.has_times else [])]
    sums = (
        paths.frame.lazy()
        .filter(pl.col(column) > 0)
        .with_row_index("path_id")
        .with_columns(length=length, position=pl.int_ranges(0, length))
        .explode(by_touch, empty_as_null=False, keep_nulls=False)
        .select(
            channel="path",
            # 64 bits would not hold the product.
            earned=pl.col(column).cast(pl.Int128) * numerator.cast(pl.Int128),
            denominator=denominator.cast(pl.Int64),
        )
        .group_by("channel", "denominator")
        .agg(pl.col("earned").sum())
        .collect()
    )
    credits_ = dict.fromkeys(paths.channels, Fraction(0))
    for channel, denominator_, earned in sums.iter_rows():
        credits_[channel] += Fraction(earned, denominator_)
    return credits_
