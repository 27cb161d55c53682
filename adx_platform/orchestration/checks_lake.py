"""The checks of the lake: after each batch, and in the daily audit.

Belongs here: which check sits on the landing and the events, whether it blocks, how it is shown.
Does not belong here: the files (``checks_integrity``), what is counted (``quality``), or
the bounds (``settings.quality``).

After each batch the newest offsets are recounted (``settings.quality.tail_offsets``), so that a
check's cost does not grow with history; the audit recounts everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from adx_platform.codecs.registry import RegistryError, open_registry
from adx_platform.contracts.streams import STREAMS, Stream, Wire
from adx_platform.orchestration import keys
from adx_platform.orchestration.checks_integrity import (
    where_intact,
)
from adx_platform.orchestration.metadata import equations_result, lost_result, share_result
from adx_platform.orchestration.resources import Line
from adx_platform.quality.conservation import OffsetEquation, compare_layers
from adx_platform.quality.contract import ContractReport, verify_contract
from adx_platform.quality.incidents.documents import REMEDY_METADATA, remedy_document
from adx_platform.quality.lake_rows import (
    RefinedWindow,
    latest_accepted,
    recount_landing,
    refined_window,
)
from adx_platform.quality.metrics import StreamMeasures, measure_stream
from adx_platform.quality.refinable_rejects import refinable_rejects
from adx_platform.settings import QualitySettings

CONSERVATION = "conservation"
HISTORY = "conservation_history"
LOST = "lost_offsets"
CONTRACT = "contract"
REJECTS = "reject_share"
LATE = "late_share"
DELAY = "event_delay"
REFINABLE = "rejects_refinable"


def lake_checks() -> list[dg.AssetChecksDefinition]:
    """Those after a batch, and those of the audit, of every stream."""
    return [
        *(_lake_checks(stream) for stream in STREAMS.values()),
        *(_lake_audit(stream) for stream in STREAMS.values()),
    ]


def _lake_checks(stream: Stream) -> dg.AssetChecksDefinition:
    raw, events = keys.raw_key(stream.name), keys.events_key(stream.name)

    @dg.multi_asset_check(
        name=f"check_lake_{stream.name}",
        specs=[
            dg.AssetCheckSpec(
                CONSERVATION,
                asset=raw,
                blocking=True,
                description="Every landed offset is stored exactly once.",
            ),
            dg.AssetCheckSpec(
                CONSERVATION,
                asset=events,
                blocking=True,
                description="Every refined offset has exactly one disposition, as landed.",
            ),
            dg.AssetCheckSpec(
                LOST, asset=raw, description="The broker dropped no message before it was read."
            ),
            dg.AssetCheckSpec(
                CONTRACT, asset=events, description="Newest accepted rows fulfil the contract."
            ),
            dg.AssetCheckSpec(
                REJECTS, asset=events, description="Share of rejected messages, of the newest ones."
            ),
            dg.AssetCheckSpec(
                LATE, asset=events, description="Share of late events, of the newest accepted ones."
            ),
            dg.AssetCheckSpec(
                DELAY,
                asset=events,
                description="Newest accepted event against the newest message, in event time.",
            ),
            *(
                [
                    dg.AssetCheckSpec(
                        REFINABLE,
                        asset=events,
                        description="No reject has a writer schema that is registered by now.",
                    )
                ]
                if _names_its_schema(stream)
                else []
            ),
        ],
    )
    def check_lake(line: dg.ResourceParam[Line]) -> Iterator[dg.AssetCheckResult]:
        yield from lake_results(line, stream, tail=line.settings.quality.tail_offsets)

    return check_lake


def lake_results(line: Line, stream: Stream, *, tail: int) -> Iterator[dg.AssetCheckResult]:
    """The checks after a batch: conservation of both layers, losses, contract, shares, delay.

    Where a file of the lake is damaged, those that cannot be evaluated fail and name it.

    Args:
        line: what opens the lake.
        stream: the stream.
        tail: only the last so many offsets of each partition.

    Raises:
        LakeError: the lake cannot be read.
    """
    raw, events = keys.raw_key(stream.name), keys.events_key(stream.name)
    error, warning = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    yield from where_intact(
        _lake_results(line, stream, tail),
        [
            (raw, CONSERVATION, error),
            (events, CONSERVATION, error),
            (raw, LOST, error),
            (events, CONTRACT, error),
            *((events, name, warning) for name in (REJECTS, LATE, DELAY)),
            *([(events, REFINABLE, warning)] if _names_its_schema(stream) else []),
        ],
    )


def _names_its_schema(stream: Stream) -> bool:
    return stream.wire is Wire.AVRO


def _lake_results(line: Line, stream: Stream, tail: int) -> Iterator[dg.AssetCheckResult]:
    events, quality = keys.events_key(stream.name), line.settings.quality
    # The fed layer first: the feeding one can only be further by the time it is read.
    window = refined_window(line.storage, stream, tail=tail)
    landed = recount_landing(line.storage, stream, tail=tail)
    yield from _conservation_results(stream, window, landed, CONSERVATION)
    yield lost_result(landed, asset_key=keys.raw_key(stream.name), check_name=LOST)
    # Whole rows are read for the contract: a tenth of what is counted, where little is counted.
    rows = min(max(1, tail // 10), quality.contract_tail_offsets)
    accepted = latest_accepted(line.storage, stream, tail=rows)
    yield _contract_result(events, verify_contract(stream, accepted))
    yield from _measure_results(events, measure_stream(window.rows, recent=quality.recent), quality)
    if _names_its_schema(stream):
        yield _refinable_result(line, stream)


def _lake_audit(stream: Stream) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"audit_lake_{stream.name}",
        specs=[
            dg.AssetCheckSpec(
                HISTORY,
                asset=keys.raw_key(stream.name),
                description="Conservation over everything that retention has left.",
            ),
            dg.AssetCheckSpec(
                HISTORY,
                asset=keys.events_key(stream.name),
                description="Conservation over all history.",
            ),
        ],
    )
    def audit_lake(line: dg.ResourceParam[Line]) -> Iterator[dg.AssetCheckResult]:
        yield from where_intact(
            _history_results(line, stream),
            [
                (key, HISTORY, dg.AssetCheckSeverity.ERROR)
                for key in (keys.raw_key(stream.name), keys.events_key(stream.name))
            ],
        )

    return audit_lake


def _history_results(line: Line, stream: Stream) -> Iterator[dg.AssetCheckResult]:
    window = refined_window(line.storage, stream)
    landed = recount_landing(line.storage, stream)
    yield from _conservation_results(stream, window, landed, HISTORY)


def _conservation_results(
    stream: Stream, window: RefinedWindow, landed: tuple[OffsetEquation, ...], name: str
) -> Iterator[dg.AssetCheckResult]:
    yield equations_result(landed, asset_key=keys.raw_key(stream.name), check_name=name)
    yield equations_result(
        window.equations,
        compare_layers(window.equations, landed),
        asset_key=keys.events_key(stream.name),
        check_name=name,
    )


def _contract_result(events: dg.AssetKey, report: ContractReport) -> dg.AssetCheckResult:
    broken = [
        f"{v.rows} rows of {v.record_type} break {v.column}: {v.rule} (for example {v.example})"
        for v in report.violations[:20]
    ]
    if report.unknown:
        broken.append(f"{report.unknown} rows are of an unknown record type")
    return dg.AssetCheckResult(
        asset_key=events,
        check_name=CONTRACT,
        passed=report.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(broken) or f"{sum(report.checked.values()):,} rows fulfil it",
        metadata={"checked": dg.JsonMetadataValue(report.checked), "violations": len(broken)},
    )


def _refinable_result(line: Line, stream: Stream) -> dg.AssetCheckResult:
    events = keys.events_key(stream.name)
    try:
        found = refinable_rejects(line.storage, stream, open_registry(line.settings))
    except RegistryError as error:
        return dg.AssetCheckResult(
            asset_key=events,
            check_name=REFINABLE,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"cannot be evaluated: {error}",
        )
    metadata: dict[str, Any] = {"waiting": found.waiting, "refinable": found.refinable}
    if found.remedy is not None:
        metadata[REMEDY_METADATA] = dg.JsonMetadataValue(remedy_document(found.remedy))
    return dg.AssetCheckResult(
        asset_key=events,
        check_name=REFINABLE,
        passed=found.remedy is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.explain(),
        metadata=metadata,
    )


def _measure_results(
    events: dg.AssetKey, measures: StreamMeasures, bounds: QualitySettings
) -> Iterator[dg.AssetCheckResult]:
    yield share_result(
        measures.rejects,
        asset_key=events,
        check_name=REJECTS,
        passed=measures.rejects.certain <= bounds.max_reject_share,
        bound=bounds.max_reject_share,
        metadata={"reasons": dg.JsonMetadataValue(measures.reasons)},
    )
    yield share_result(
        measures.late,
        asset_key=events,
        check_name=LATE,
        passed=measures.late.certain <= bounds.max_late_share,
        bound=bounds.max_late_share,
    )
    delay = measures.event_delay
    yield dg.AssetCheckResult(
        asset_key=events,
        check_name=DELAY,
        passed=(delay or timedelta()) <= bounds.max_event_delay,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            "nothing to measure"
            if delay is None
            else f"{delay} behind the newest message; bound {bounds.max_event_delay}"
        ),
        metadata={} if delay is None else {"delay_seconds": delay.total_seconds()},
    )
