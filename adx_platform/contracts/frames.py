"""Pandera models of accepted rows, one per record type.

Belongs here: what must hold inside one row of a refined table, as types, nullability, ranges and
closed lists. Does not belong here: rules that need another row or reference data, and the reasons
given to a sender (``refine.validate``).

Validate ``DataFrame`` objects: pandera checks only the schema of a ``LazyFrame`` and passes every
row of it. Ask with ``lazy=True`` to get all failures; ``drop_invalid_rows`` is not used, because it
loses the reasons.

The same rules also exist as expressions (:func:`breaks_contract`, :func:`breaches`), by which every
batch is judged: pandera takes 60 ms of CPU for a batch in which nothing is wrong, and twice that
for one bad row, whatever the batch's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import pandera.polars as pa
import polars as pl
from pandera.polars import Check, PolarsData

from adx_platform.contracts.ad_impressions import EVENT_TYPES
from adx_platform.contracts.bid_requests import NOTICE_TYPES
from adx_platform.contracts.columns import Column
from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.envelope import ENVELOPE_COLUMNS
from adx_platform.contracts.streams import Stream, stream_named

CURRENCY_PATTERN = r"^[A-Z]{3}$"
FINGERPRINT_PATTERN = r"^[0-9a-f]{32}$"
PSEUDONYM_PATTERN = r"^[0-9a-f]{64}$"
DEVICE_TYPES: tuple[str, ...] = ("desktop", "mobile", "tablet", "ctv", "other")
GIVT_REASONS: tuple[str, ...] = ("user_agent", "data_centre", "non_browser")

_JUDGED = (Disposition.ACCEPTED, Disposition.DUPLICATE, Disposition.CONFLICT)
"""Dispositions of rows that passed the contract; the last two only repeat an event."""

_ENVELOPE_REQUIRED = (
    "kafka_timestamp",
    "record_type",
    "contract_version",
    "event_id",
    "event_time",
    "is_late",
    "lateness_seconds",
    "payload_fingerprint",
)

_NOT_NEGATIVE = (
    "price_cpm_micros",
    "min_to_win_cpm_micros",
    "value_micros",
    "latency_ms",
    "time_in_view_ms",
    "lateness_seconds",
    "tmax_ms",
    "offset",
    "partition",
    "revision",
    "no_bid_reason",
    "loss_reason",
)

_CLOSED_LISTS: dict[str, tuple[str, ...]] = {
    "notice_type": NOTICE_TYPES,
    "device_type": DEVICE_TYPES,
    "givt_reason": GIVT_REASONS,
    "channel": ("site", "app", "dooh"),
    "disposition": tuple(_JUDGED),
}

_PATTERNS: dict[str, str] = {
    "currency": CURRENCY_PATTERN,
    "payload_fingerprint": FINGERPRINT_PATTERN,
    "user_id": PSEUDONYM_PATTERN,
    "user_id_previous": PSEUDONYM_PATTERN,
}


def _row_check(rule: Callable[[], pl.Expr], name: str) -> Check:
    """A check across columns of one row; ``name`` is what a failure is reported under."""

    def passes(data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(rule().fill_null(value=False).alias("passes"))

    return Check(passes, name=name, error=name)


def _one_decision() -> pl.Expr:
    bid = pl.all_horizontal(
        pl.col("bid_id", "campaign_id", "price_cpm_micros", "currency").is_not_null()
    )
    return bid ^ pl.col("no_bid_reason").is_not_null()


def _value_has_a_currency() -> pl.Expr:
    return pl.col("value_micros").is_null() | pl.col("currency").is_not_null()


def _price_has_a_currency() -> pl.Expr:
    prices = pl.col("price_cpm_micros", "min_to_win_cpm_micros").is_not_null()
    return ~pl.any_horizontal(prices) | pl.col("currency").is_not_null()


def _billing_has_a_price() -> pl.Expr:
    return (pl.col("notice_type") != "billing") | pl.col("price_cpm_micros").is_not_null()


def _imps_are_counted() -> pl.Expr:
    return (pl.col("imp_count") >= 1) & (pl.col("imps").list.len() == pl.col("imp_count"))


_ROW_CHECKS: dict[str, tuple[tuple[Callable[[], pl.Expr], str], ...]] = {
    "bid_request": ((_imps_are_counted, "imp_count is the length of imps, at least 1"),),
    "bid_response": (
        (
            _one_decision,
            "either bid_id, campaign_id, price_cpm_micros and currency, or no_bid_reason",
        ),
    ),
    "bid_notice": (
        (_price_has_a_currency, "a price needs a currency"),
        (_billing_has_a_price, "a billing notice needs price_cpm_micros"),
    ),
    "conversion": ((_value_has_a_currency, "value_micros needs a currency"),),
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule about a column, in both forms; null passes in either."""

    check: Check
    broken: Callable[[pl.Expr], pl.Expr]
    is_missing: bool = False


def _at_least(bound: int) -> _Rule:
    return _Rule(Check.ge(bound), lambda value: value < bound)


def _between(low: int, high: int) -> _Rule:
    return _Rule(Check.in_range(low, high), lambda value: ~value.is_between(low, high))


def _one_of(values: Sequence[str]) -> _Rule:
    return _Rule(Check.isin(values), lambda value: ~value.is_in(list(values)))


def _matching(pattern: str) -> _Rule:
    return _Rule(Check.str_matches(pattern), lambda value: ~value.str.contains(pattern))


def _not_empty() -> _Rule:
    return _Rule(Check.str_length(min_value=1), lambda value: value == "", is_missing=True)


def _column_rules(name: str, record_type: str) -> list[_Rule]:
    rules: list[_Rule] = []
    if name in _NOT_NEGATIVE:
        rules.append(_at_least(0))
    if name == "pixels_in_view_pct":
        rules.append(_between(0, 100))
    if name == "imp_count":
        rules.append(_at_least(1))
    if name == "event_type" and record_type == "ad_impression":
        rules.append(_one_of(EVENT_TYPES))
    if name == "record_type":
        rules.append(_one_of((record_type,)))
    if name in _CLOSED_LISTS:
        rules.append(_one_of(_CLOSED_LISTS[name]))
    if name in _PATTERNS:
        rules.append(_matching(_PATTERNS[name]))
    return rules


def _rules_of(column: Column, record_type: str, *, required: bool) -> list[_Rule]:
    rules = _column_rules(column.name, record_type)
    return [*rules, _not_empty()] if required and column.dtype == pl.String else rules


def _pandera_column(column: Column, record_type: str, *, required: bool) -> pa.Column:
    return pa.Column(
        column.dtype,
        checks=[rule.check for rule in _rules_of(column, record_type, required=required)],
        nullable=not required,
        required=True,
        description=column.description,
    )


def columns_of(stream: Stream, record_type: str) -> dict[str, bool]:
    """Names of a refined row's columns and whether an accepted row must fill them."""
    needed = {*_ENVELOPE_REQUIRED, *stream.record(record_type).required}
    envelope = {
        column.name: column.required or column.name in needed for column in ENVELOPE_COLUMNS
    }
    own = {column.name: column.name in needed for column in stream.columns}
    return envelope | own


@cache
def contract_model(stream: str, record_type: str) -> pa.DataFrameSchema:
    """The contract of accepted (and duplicate and conflict) rows of one record type.

    Args:
        stream: name of the stream.
        record_type: one of its record types; the frame holds rows of this type only.

    Returns:
        A strict schema over all columns of ``events_schema``. Rows that break it are in
        ``SchemaErrors.failure_cases`` by ``index`` (the row), ``column`` and ``check``. A failure
        of a rule across columns has ``schema_context`` ``DataFrameSchema``; its ``check`` is a
        sentence and its ``column`` is the schema's name.

    Raises:
        ValueError: no such stream or record type.
    """
    contract = stream_named(stream)
    needs = columns_of(contract, record_type)
    return pa.DataFrameSchema(
        {
            column.name: _pandera_column(column, record_type, required=needs[column.name])
            for column in (*ENVELOPE_COLUMNS, *contract.columns)
        },
        checks=[_row_check(rule, name) for rule, name in _ROW_CHECKS.get(record_type, ())],
        strict=True,
        name=f"{stream}.{record_type}",
    )


@dataclass(frozen=True, slots=True)
class Breach:
    """One way to break a contract.

    Attributes:
        column: what is broken; null for a rule across columns.
        check: the rule, as a failure of the model names it.
        is_missing: a required value is absent or empty.
        holds: whether a row breaks it, never null.
    """

    column: str | None
    check: str
    is_missing: bool
    holds: pl.Expr


@cache
def breaks_contract(stream: str, record_type: str) -> pl.Expr:
    """Whether a row breaks :func:`contract_model`, as one boolean expression, never null.

    It says nothing about types: a frame of the stream's ``events_schema`` has the right ones.

    Raises:
        ValueError: no such stream or record type.
    """
    return pl.any_horizontal(breach.holds for breach in breaches(stream, record_type))


@cache
def breaches(stream: str, record_type: str) -> tuple[Breach, ...]:
    """:func:`breaks_contract` in its parts: column after column, rules across columns at the end.

    Raises:
        ValueError: no such stream or record type.
    """
    contract = stream_named(stream)
    needs = columns_of(contract, record_type)
    found: list[Breach] = []
    for column in (*ENVELOPE_COLUMNS, *contract.columns):
        required = needs[column.name]
        value = pl.col(column.name)
        if required:
            found.append(
                Breach(column.name, "not_nullable", is_missing=True, holds=value.is_null())
            )
        found += [
            Breach(
                column.name,
                str(rule.check.error),
                is_missing=rule.is_missing,
                holds=rule.broken(value).fill_null(value=False),
            )
            for rule in _rules_of(column, record_type, required=required)
        ]
    return (
        *found,
        *(
            Breach(None, name, is_missing=False, holds=~rule().fill_null(value=False))
            for rule, name in _ROW_CHECKS.get(record_type, ())
        ),
    )
