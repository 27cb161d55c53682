"""How results look in Dagster: column schemas, ranges, counts, check results.

Belongs here: turning values of the lower floors into Dagster metadata. Does not belong here:
computing them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from adx_platform.contracts.columns import Column
from adx_platform.quality.conservation import OffsetEquation
from adx_platform.quality.metrics import Share
from adx_platform.warehouse.tracing import TracedLoad


def column_schema(columns: Iterable[Column]) -> dict[str, dg.TableSchema]:
    """Asset metadata that describes ``columns``."""
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name,
                    type=_type_name(column),
                    description=column.description,
                    constraints=dg.TableColumnConstraints(nullable=not column.required),
                )
                for column in columns
            ]
        )
    }


def equations_result(
    equations: Iterable[OffsetEquation],
    findings: Iterable[str] = (),
    *,
    asset_key: dg.AssetKey,
    check_name: str,
) -> dg.AssetCheckResult:
    """A conservation verdict with its equations as a table and as sentences."""
    equations = list(equations)
    sentences = [*findings, *(e.explain() for e in equations if e.verdict != "holds")]
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=check_name,
        passed=not sentences,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(sentences)
        or f"holds on {len(equations)} partitions, {sum(e.counted for e in equations):,} offsets",
        metadata={
            "partitions": len(equations),
            "offsets": sum(e.end - e.start for e in equations),
            "difference": sum(e.difference for e in equations),
            "equations": dg.TableMetadataValue(
                records=[dg.TableRecord(_flat(equation)) for equation in equations],
                schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in _EQUATION_COLUMNS]),
            ),
        },
    )


def lost_result(
    equations: Iterable[OffsetEquation], *, asset_key: dg.AssetKey, check_name: str
) -> dg.AssetCheckResult:
    """Whether the broker dropped messages before they were read.

    Conservation holds all the same: what was lost is counted, and would be passed over in silence.
    """
    losses = [equation for equation in equations if equation.lost]
    lost = sum(equation.lost for equation in losses)
    where = ", ".join(
        f"{e.lost:,} of partition {e.partition} between offsets {e.start:,} and {e.end:,}"
        for e in losses
    )
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=check_name,
        passed=not losses,
        severity=dg.AssetCheckSeverity.ERROR,
        description=(
            f"the broker had dropped {lost:,} messages before they were read ({where}). The lane "
            "went on behind them. Keep them longer at the broker (retention.ms, retention.bytes), "
            "or find out why nothing was ingested"
            if losses
            else "the broker dropped nothing before it was read"
        ),
        metadata={"lost": lost},
    )


def trace_table(loads: Iterable[TracedLoad]) -> dg.TableMetadataValue:
    """Where the newest rows of a table come from: load, lake commit, offsets."""
    return dg.TableMetadataValue(
        records=[
            dg.TableRecord(
                {
                    "stream": load.stream,
                    "load_id": load.load_id,
                    "lake_version": load.lake_version,
                    "topic_id": part.topic_id,
                    "partition": part.partition,
                    "start": part.start,
                    "end": part.end,
                    "kind": part.kind,
                }
            )
            for load in loads
            for part in load.ranges
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in _TRACE_COLUMNS]),
    )


def share_result(
    share: Share,
    *,
    asset_key: dg.AssetKey,
    check_name: str,
    passed: bool,
    bound: float,
    metadata: Mapping[str, Any] | None = None,
) -> dg.AssetCheckResult:
    """A share against its bound; breaking it warns and does not stop the line."""
    value = share.value
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=check_name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{share}; bound {bound:.2%}",
        metadata={
            "part": share.part,
            "whole": share.whole,
            "bound": bound,
            **({} if value is None else {"share": value}),
            **(metadata or {}),
        },
    )


_TRACE_COLUMNS = (
    "stream",
    "load_id",
    "lake_version",
    "topic_id",
    "partition",
    "start",
    "end",
    "kind",
)

_EQUATION_COLUMNS = (
    "layer",
    "stream",
    "topic_id",
    "partition",
    "start",
    "end",
    "landed",
    "accepted",
    "rejected",
    "duplicate",
    "conflict",
    "absent",
    "lost",
    "missing",
    "doubled",
    "outside",
    "difference",
    "verdict",
)


def _flat(equation: OffsetEquation) -> dict[str, Any]:
    values = asdict(equation) | {"difference": equation.difference, "verdict": equation.verdict}
    return {name: values[name] for name in _EQUATION_COLUMNS}


_LONGEST_TYPE = 60


def _type_name(column: Column) -> str:
    # The nested OpenRTB objects spell out to kilobytes: their outer shape is enough for a page.
    text = str(column.dtype)
    return text if len(text) <= _LONGEST_TYPE else f"{text.split('(', 1)[0]}(...)"
