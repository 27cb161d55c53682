"""Judge rows against the contract.

Belongs here: turning what the contract's models say into one reason per row. Does not belong here:
the rules themselves (``contracts.frames``), or time bounds.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import polars as pl

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.frames import breaches, breaks_contract
from adx_platform.contracts.streams import Stream, stream_named

_WIRE_NAMES: dict[str, dict[str, str]] = {
    "ad_impression": {"event_time": "ts"},
    "click": {"event_time": "ts", "value_micros": "value"},
    "conversion": {"event_time": "ts", "value_micros": "value"},
    "bid_request": {
        "event_time": "received_at",
        "request_id": "id",
        "imps": "imp",
        "imp_count": "imp",
    },
    "bid_response": {"event_time": "responded_at"},
    "bid_notice": {"event_time": "noticed_at"},
}
FAULT_SCHEMA = pl.Schema({"at": pl.UInt32, "reason_code": pl.String, "reason": pl.String})


def faults(
    stream: Stream, record_type: str, rows: pl.DataFrame, *, has_nul: bool = True
) -> pl.DataFrame:
    """What is wrong with rows that would otherwise be accepted.

    Args:
        stream: the contract.
        record_type: of all rows.
        rows: of ``stream.events_schema``, disposition ``accepted``.
        has_nul: whether a text may contain a NUL; looking into all texts costs as much as all
            other rules together.

    Returns:
        ``FAULT_SCHEMA``: position of the row in ``rows``, and its first fault: a missing field
        before an invalid value, then in the order of the columns. Sound rows are not in it.
    """
    return (
        pl.concat(
            [
                _model_faults(stream, record_type, rows),
                *(_nul_faults(record_type, rows) if has_nul else []),
                *(_nameless(rows) if record_type == "bid_request" else []),
            ]
        )
        .sort("at", "rank", "order")
        .unique("at", keep="first", maintain_order=True)
        .select(FAULT_SCHEMA.names())
    )


_RANKED_SCHEMA = pl.Schema([*FAULT_SCHEMA.items(), ("rank", pl.Int32()), ("order", pl.Int32())])
_MISSING, _INVALID = 0, 1


class _Verdicts(NamedTuple):
    """What can be wrong with the rows of a record type, the gravest first.

    Attributes:
        first: the number of the first of a row's faults in ``said``; null for a sound row.
        said: what is said of each.
    """

    first: pl.Expr
    said: pl.DataFrame


@cache
def _verdicts(stream: str, record_type: str) -> _Verdicts:
    places = {name: place for place, name in enumerate(stream_named(stream).events_schema)}
    names = _WIRE_NAMES[record_type]
    ranked = sorted(breaches(stream, record_type), key=lambda breach: not breach.is_missing)
    said = []
    for breach in ranked:
        if breach.column is None:
            reason, place = breach.check, len(places)
        else:
            field, place = names.get(breach.column, breach.column), places[breach.column]
            reason = (
                f"{field}: required, but absent or empty"
                if breach.is_missing
                else f"{field}: the value breaks the rule {breach.check}"
            )
        code = ReasonCode.MISSING_FIELD if breach.is_missing else ReasonCode.INVALID_VALUE
        said.append((str(code), reason, _MISSING if breach.is_missing else _INVALID, place))
    first = pl.coalesce(
        pl.when(breach.holds).then(pl.lit(number, pl.UInt32))
        for number, breach in enumerate(ranked)
    )
    schema = pl.Schema([item for item in _RANKED_SCHEMA.items() if item[0] != "at"])
    return _Verdicts(first, pl.DataFrame(said, schema=schema, orient="row"))


def _model_faults(stream: Stream, record_type: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What the contract's model says of the rows that break it: of each the first fault."""
    suspects = rows.with_row_index("at").filter(breaks_contract(stream.name, record_type))
    if suspects.is_empty():
        return _RANKED_SCHEMA.to_frame()
    verdicts = _verdicts(stream.name, record_type)
    first = suspects.select(verdicts.first.alias("first"))["first"]
    return verdicts.said[first].insert_column(0, suspects["at"]).select(_RANKED_SCHEMA.names())


def _nul_faults(record_type: str, rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Text with a NUL cannot be stored by the warehouses."""
    names = _WIRE_NAMES[record_type]
    found = []
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    has_nul = rows.select(pl.col(texts).str.contains("\0", literal=True)).with_row_index("at")
    for order, name in enumerate(texts):
        if has_nul[name].any():
            reason = f"{names.get(name, name)}: the text contains a NUL character"
            found.append(_fault(has_nul.filter(name), ReasonCode.INVALID_VALUE, reason, order))
    return found


def _nameless(rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Bid requests with an impression that has no id, which a model of columns cannot say."""
    found = rows.with_row_index("at").filter(
        pl.col("imps")
        .list.eval(pl.element().struct.field("imp_id").is_null())
        .list.any()
        .fill_null(value=False)
    )
    reason = "imp.id: required, but absent or empty"
    return [_fault(found, ReasonCode.MISSING_FIELD, reason, 0)]


def _fault(rows: pl.DataFrame, code: ReasonCode, reason: str, order: int) -> pl.DataFrame:
    rank = _MISSING if code is ReasonCode.MISSING_FIELD else _INVALID
    return rows.select(
        pl.col("at").cast(pl.UInt32),
        reason_code=pl.lit(str(code)),
        reason=pl.lit(reason),
        rank=pl.lit(rank, dtype=pl.Int32),
        order=pl.lit(order, dtype=pl.Int32),
    )
