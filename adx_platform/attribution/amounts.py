"""Counts and values as whole micros: read from text, and divided without losing one.

Belongs here: exact arithmetic on totals. Does not belong here: what a channel deserves (models).

A table may hold 0.1 + 0.2 or a third of a conversion; binary fractions would make the credits of a
model miss its total in the last digit, and two models' totals differ. Integers do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from adx_platform.attribution.errors import AttributionError

MICROS = 1_000_000
"""Micros of one conversion, or of one unit of value."""

MAX_TOTAL_MICROS = 2**62
"""Totals up to here can be added as 64-bit integers: 4.6 million million units."""

_NUMBER = re.compile(r"\+?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# The first power of ten that no cell may reach, so that a cell alone cannot overflow.
_MAX_POWER = 12


def micros_column(name: str, cells: Iterable[str | None], *, blank: int | None) -> list[int]:
    """The cells of a column of numbers, in micros (half a micro is rounded to the even one).

    Args:
        name: the column, for messages.
        cells: the text of each row.
        blank: micros of an empty cell; ``None`` if a cell may not be empty.

    Raises:
        AttributionError: a cell is no number from 0 to 10^12, or the column's sum is too large.
    """
    known: dict[str, int] = {}
    micros = []
    for row, cell in enumerate(cells, start=1):
        text = (cell or "").strip()
        if text not in known:
            known[text] = _micros(text, name, row, blank)
        micros.append(known[text])
    if sum(micros) > MAX_TOTAL_MICROS:
        raise AttributionError(
            f"column {name} adds up to more than {MAX_TOTAL_MICROS // MICROS:,}: "
            "count in a larger unit"
        )
    return micros


def _micros(text: str, name: str, row: int, blank: int | None) -> int:
    if not text:
        if blank is None:
            raise AttributionError(f"row {row}: {name} is empty; write 0 where there is none")
        return blank
    if not _NUMBER.fullmatch(text):
        raise AttributionError(
            f"row {row}: {name} is {text[:40]!r}; it must be a number, 0 or more, "
            "such as 12 or 4.50"
        )
    number = Decimal(text)
    if number and number.adjusted() >= _MAX_POWER:
        raise AttributionError(f"row {row}: {name} is {text[:40]}; the limit is 10^{_MAX_POWER}")
    return int((number * MICROS).to_integral_value(ROUND_HALF_EVEN))


def apportion(total: int, weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Divide ``total`` by ``weights`` into integers that add up to exactly ``total``.

    Largest remainder: everyone gets the whole part of the exact quota, and what is left goes, one
    each, to the largest fractions; equal fractions by name, so that the order of a table's rows
    changes nothing. Weights need not add up to anything, and some may be negative (Shapley values
    of a rate), but their sum is positive unless there is nothing to divide.

    Raises:
        ValueError: there is a total but no positive sum of weights.
    """
    if total == 0:
        return dict.fromkeys(weights, 0)
    whole = sum(weights.values(), Fraction(0))
    if whole <= 0:
        raise ValueError(f"{total} cannot be divided by weights that add up to {whole}")
    quotas = {name: total * weight / whole for name, weight in weights.items()}
    parts = {name: quota.numerator // quota.denominator for name, quota in quotas.items()}
    left = total - sum(parts.values())
    by_fraction = sorted(quotas, key=lambda name: (parts[name] - quotas[name], name))
    for name in by_fraction[:left]:
        parts[name] += 1
    return parts


def decimal_text(micros: int) -> str:
    """Micros as a decimal number with six places, exactly."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{fraction:06d}"
