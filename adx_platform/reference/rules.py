"""What must hold inside a reference file and between them, beyond the types of cells.

Belongs here: rules that need more than one cell, or that know what a column means. Does not belong
here: reading files (``files``). Each rule yields problems; it never stops at the first.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from adx_platform.reference.schemas import ReferenceTable
from adx_platform.reference.time_zones import time_zone

_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_CURRENCY_COLUMNS = frozenset({"currency", "from_currency", "to_currency"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where, and what. ``line`` 1 is the header, 0 the file as a whole."""

    file: str
    line: int
    column: str | None
    message: str

    def __str__(self) -> str:
        """``file, line n, column c: message``."""
        where = self.file
        if self.line:
            where += f", line {self.line}"
        if self.column:
            where += f", column {self.column}"
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """A parsed row: its line in the file and its values by column; absent ones are ``None``."""

    line: int
    values: dict[str, Any]


Rows = Mapping[str, list[Row]]


def row_problems(table: ReferenceTable, row: Row) -> Iterator[Problem]:
    """Rules on one row of ``table``."""
    for name, value in row.values.items():
        message = _value_problem(table, name, value)
        if message:
            yield Problem(table.file_name, row.line, name, message)
    yield from _SPECIAL_ROWS.get(table.name, _nothing)(table, row)


def key_problems(table: ReferenceTable, rows: list[Row]) -> Iterator[Problem]:
    """Rows of ``table`` whose key an earlier row has."""
    seen: dict[tuple[object, ...], int] = {}
    for row in rows:
        key = tuple(row.values[name] for name in table.key)
        if None in key:
            continue
        first = seen.setdefault(key, row.line)
        if first != row.line:
            shown = ", ".join(f"{name}={row.values[name]}" for name in table.key)
            yield Problem(
                table.file_name, row.line, None, f"{shown} is already on line {first}: keep one"
            )


def link_problems(table: ReferenceTable, rows: Rows) -> Iterator[Problem]:
    """Values of ``table`` that should exist in another file and do not."""
    for link in table.links:
        known = {row.values[link.target_column] for row in rows[link.target]}
        for row in rows[table.name]:
            value = row.values[link.column]
            if value is not None and value not in known:
                yield Problem(
                    table.file_name, row.line, link.column, f"{value!r} is not in {link.target}.csv"
                )


def rate_problems(rows: Rows) -> Iterator[Problem]:
    """Holes in the exchange rates: days, pairs, and currencies that others use."""
    rates = {
        (r.values["rate_date"], r.values["from_currency"], r.values["to_currency"])
        for r in rows["fx_rates"]
    }
    days = sorted({day for day, _, _ in rates})
    for day, following in pairwise(days):
        if following - day != timedelta(days=1):
            yield Problem("fx_rates.csv", 0, "rate_date", f"no rates between {day} and {following}")
    currencies = sorted({c for _, source, target in rates for c in (source, target)})
    for day in days:
        for pair in ((a, b) for a in currencies for b in currencies):
            if (day, *pair) not in rates:
                yield Problem(
                    "fx_rates.csv", 0, None, f"no rate from {pair[0]} to {pair[1]} on {day}"
                )
    for name in ("advertisers", "exchanges"):
        for row in rows[name]:
            if row.values["currency"] not in currencies:
                message = f"fx_rates.csv has no rates of {row.values['currency']}"
                yield Problem(f"{name}.csv", row.line, "currency", message)


def _value_problem(table: ReferenceTable, name: str, value: object) -> str | None:
    if value is None:
        return None
    allowed = table.allowed.get(name)
    if allowed is not None and value not in allowed:
        return f"{value!r} is not one of {', '.join(sorted(allowed))}"
    minimum = table.minimum.get(name)
    if minimum is not None and isinstance(value, int) and value < minimum:
        return f"{value} is below {minimum}"
    if name in _CURRENCY_COLUMNS and not _CURRENCY.fullmatch(str(value)):
        return f"{value!r} is not an ISO 4217 code (three capital letters)"
    return None


def _nothing(table: ReferenceTable, row: Row) -> Iterator[Problem]:  # noqa: ARG001 shape of a rule
    yield from ()


def _advertiser(table: ReferenceTable, row: Row) -> Iterator[Problem]:
    if row.values["time_zone"] is not None:
        try:
            time_zone(row.values["time_zone"])
        except ValueError as error:
            yield Problem(table.file_name, row.line, "time_zone", str(error))


def _flight(table: ReferenceTable, row: Row) -> Iterator[Problem]:
    starts, ends = row.values["starts_at"], row.values["ends_at"]
    if starts is not None and ends is not None and ends <= starts:
        yield Problem(table.file_name, row.line, "ends_at", f"{ends} is not after {starts}")


def _rate(table: ReferenceTable, row: Row) -> Iterator[Problem]:
    rate = row.values["rate"]
    if rate is None:
        return
    if rate <= 0:
        yield Problem(table.file_name, row.line, "rate", f"{rate} is not above 0")
    elif row.values["from_currency"] == row.values["to_currency"] and rate != Decimal(1):
        yield Problem(table.file_name, row.line, "rate", f"{rate} from a currency to itself")


def _network(table: ReferenceTable, row: Row) -> Iterator[Problem]:
    if row.values["cidr"] is not None:
        try:
            ipaddress.ip_network(row.values["cidr"])
        except ValueError as error:
            yield Problem(table.file_name, row.line, "cidr", f"is not a network: {error}")


def _month(table: ReferenceTable, row: Row) -> Iterator[Problem]:
    month = row.values["month"]
    if month is not None and month.day != 1:
        yield Problem(
            table.file_name, row.line, "month", f"{month} is not the first day of a month"
        )


_SPECIAL_ROWS: dict[str, Callable[[ReferenceTable, Row], Iterator[Problem]]] = {
    "advertisers": _advertiser,
    "flights": _flight,
    "fx_rates": _rate,
    "data_centre_ranges": _network,
    "billing_closes": _month,
    "exchange_invoices": _month,
}
