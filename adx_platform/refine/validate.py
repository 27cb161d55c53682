"""Judge rows against the contract.

Belongs here: turning what the contract's models say into one reason per row. Does not belong here:
the rules themselves (``contracts.frames``), or time bounds.
"""

from __future__ import annotations

from functools import lru_cache

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.frames import ACROSS, breaches, breaks_contract, contract_model
from adx_platform.contracts.streams import Stream

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


def faults(stream: Stream, record_type: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What is wrong with rows that would otherwise be accepted.

    Args:
        stream: the contract.
        record_type: of all rows.
        rows: of ``stream.events_schema``, disposition ``accepted``.

    Returns:
        ``FAULT_SCHEMA``: position of the row in ``rows``, and its first fault: a missing field
        before an invalid value, then in the order of the columns. Sound rows are not in it.
    """
    return (
        pl.concat([_model_faults(stream, record_type, rows), *_own_faults(record_type, rows)])
        .sort("at", "rank", "order")
        .unique("at", keep="first", maintain_order=True)
        .select(FAULT_SCHEMA.names())
    )


_RANKED_SCHEMA = pl.Schema([*FAULT_SCHEMA.items(), ("rank", pl.Int32()), ("order", pl.Int32())])
_MISSING, _INVALID = 0, 1


@lru_cache(maxsize=256)
def _judging_model(stream: str, record_type: str, broken: frozenset[str]) -> pa.DataFrameSchema:
    """The contract's model, as far as rows break it.

    The rows come out of one function with one schema, and pandera takes a millisecond for each
    column whatever the number of rows: with all columns a batch with one bad row cost 0.06 s of
    CPU, one with OpenRTB objects 0.2 s.
    """
    model = contract_model(stream, record_type)
    judged = {name: column for name, column in model.columns.items() if name in broken}
    checks = model.checks if ACROSS in broken else []
    return pa.DataFrameSchema(judged, checks=checks, name=model.name)


def _model_faults(stream: Stream, record_type: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What the contract's model says. It is asked about rows that break it, and those alone."""
    suspects = rows.with_row_index("at").filter(breaks_contract(stream.name, record_type))
    if suspects.is_empty():
        return _RANKED_SCHEMA.to_frame()
    parts = breaches(stream.name, record_type)
    any_breaks = suspects.select(breach.any().alias(name) for name, breach in parts.items()).row(0)
    broken = frozenset(name for name, breaks in zip(parts, any_breaks, strict=True) if breaks)
    try:
        _judging_model(stream.name, record_type, broken).validate(suspects.drop("at"), lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        raise RuntimeError(
            f"{suspects.height} refined rows of {stream.name} break the contract's expression but "
            "not its model: the two must say the same"
        )
    if cases["index"].null_count():
        whole = cases.filter(pl.col("index").is_null())["check"].unique().sort().to_list()
        raise RuntimeError(
            f"refined rows of {stream.name} do not have the contract's columns: {', '.join(whole)}"
        )
    positions = suspects["at"].gather(cases["index"].cast(pl.UInt32))
    return _ranked(stream, record_type, cases.with_columns(index=positions))


def _ranked(stream: Stream, record_type: str, cases: pl.DataFrame) -> pl.DataFrame:
    names = _WIRE_NAMES[record_type]
    order = {name: position for position, name in enumerate(stream.events_schema)}
    across = pl.col("schema_context") == "DataFrameSchema"
    missing = ~across & pl.col("check").str.contains(r"^not_nullable|^str_length")
    field = pl.col("column").replace(names)
    return cases.select(
        at=pl.col("index").cast(pl.UInt32),
        reason_code=pl.when(missing)
        .then(pl.lit(str(ReasonCode.MISSING_FIELD)))
        .otherwise(pl.lit(str(ReasonCode.INVALID_VALUE))),
        reason=pl.when(across)
        .then(pl.col("check"))
        .when(missing)
        .then(pl.format("{}: required, but absent or empty", field))
        .otherwise(pl.format("{}: the value breaks the rule {}", field, pl.col("check"))),
        rank=pl.when(missing).then(_MISSING).otherwise(_INVALID).cast(pl.Int32),
        order=pl.col("column").replace_strict(order, default=len(order), return_dtype=pl.Int32),
    )


def _own_faults(record_type: str, rows: pl.DataFrame) -> list[pl.DataFrame]:
    """Rules that a model of columns cannot say."""
    names = _WIRE_NAMES[record_type]
    found = []
    # Text with a NUL cannot be stored by the warehouses.
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    has_nul = rows.select(pl.col(texts).str.contains("\0", literal=True)).with_row_index("at")
    for order, name in enumerate(texts):
        if has_nul[name].any():
            reason = f"{names.get(name, name)}: the text contains a NUL character"
            found.append(_fault(has_nul.filter(name), ReasonCode.INVALID_VALUE, reason, order))
    if record_type == "bid_request":
        nameless = rows.with_row_index("at").filter(
            pl.col("imps")
            .list.eval(pl.element().struct.field("imp_id").is_null())
            .list.any()
            .fill_null(value=False)
        )
        reason = "imp.id: required, but absent or empty"
        found.append(_fault(nameless, ReasonCode.MISSING_FIELD, reason, 0))
    return found


def _fault(rows: pl.DataFrame, code: ReasonCode, reason: str, order: int) -> pl.DataFrame:
    rank = _MISSING if code is ReasonCode.MISSING_FIELD else _INVALID
    return rows.select(
        pl.col("at").cast(pl.UInt32),
        reason_code=pl.lit(str(code)),
        reason=pl.lit(reason),
        rank=pl.lit(rank, dtype=pl.Int32),
        order=pl.lit(order, dtype=pl.Int32),
    )
