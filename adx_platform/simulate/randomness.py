"""Seeded randomness and the few draws that the whole market shares.

Belongs here: generators and distributions. Does not belong here: any figure of the market.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar
from zlib import crc32

T = TypeVar("T")


def generator(seed: int, purpose: str) -> Random:
    """A generator of its own for each purpose, so that one part's draws never shift another's."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - a market, not a secret


def of_generation(purpose: str, generation: int) -> str:
    """The purpose's name for one generation of a market that was stopped and started again."""
    return purpose if generation == 0 else f"{purpose}/{generation}"


def new_id(rng: Random) -> str:
    """A version 4 UUID as text."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def log_normal(rng: Random, median: float, sigma: float) -> float:
    """A positive, right-skewed draw around ``median``."""
    return median * math.exp(sigma * rng.gauss(0.0, 1.0))


def stable_share(name: str) -> float:
    """A number in [0, 1) that depends on ``name`` alone: who belongs to a group, for ever."""
    return crc32(name.encode()) / 2**32


class Weighted(Generic[T]):
    """Draws items in proportion to their weights; cheap to draw from many times."""

    __slots__ = ("_cumulative", "_items", "_total")

    def __init__(self, items: Sequence[T], weights: Sequence[float]) -> None:
        self._items = items
        self._cumulative = list(accumulate(weights))
        self._total = self._cumulative[-1]

    def draw(self, rng: Random) -> T:
        """One item."""
        return self._items[bisect(self._cumulative, rng.random() * self._total)]


def zipf_weights(count: int, exponent: float) -> list[float]:
    """Weights of ranks 1 to ``count``: heavy-tailed, the first the heaviest."""
    return [rank**-exponent for rank in range(1, count + 1)]
