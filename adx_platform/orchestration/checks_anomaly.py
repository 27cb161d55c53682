"""Anomaly checks: the newest closed hours of the hourly marts against what is normal for them.

Belongs here: which check sits on which mart, and what its result carries: figures, a picture of the
series, the anomalous hours for the incident. Does not belong here: what is
normal, and when a deviation matters (``quality.anomaly``).

They warn and block nothing: an odd hour must not keep the marts from being published.
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from adx_platform.orchestration import keys
from adx_platform.orchestration.resources import Line
from adx_platform.quality.anomaly import explain
from adx_platform.quality.anomaly.catalogue import AnomalyCheck, anomaly_checks
from adx_platform.quality.anomaly.detector import State, Verdict
from adx_platform.quality.anomaly.marts import read_marts
from adx_platform.quality.anomaly.series import Kind
from adx_platform.quality.incidents.documents import (
    WINDOWS_METADATA,
    windows_document,
)
from adx_platform.quality.incidents.model import SeriesWindow
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.reporting.charts import BandPoint, band_chart

HOUR = "hour"
DETAILS = "series"
_MICROS = 1_000_000
_DECIDED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


def anomaly_check_definitions() -> list[dg.AssetChecksDefinition]:
    """All anomaly checks, as one step: reading the marts is most of their work."""
    checks = anomaly_checks()

    @dg.multi_asset_check(
        name="check_anomalies",
        specs=[
            dg.AssetCheckSpec(check.name, asset=_asset(check), description=check.description)
            for check in checks
        ],
        pool=keys.WAREHOUSE_POOL,
    )
    def check_anomalies(
        context: dg.AssetCheckExecutionContext, line: dg.ResourceParam[Line]
    ) -> Iterator[dg.AssetCheckResult]:
        quality = line.settings.quality
        with IncidentStore.open(line.settings.incidents_url) as store:
            excluded = store.windows()
        with line.warehouse() as warehouse:
            marts = read_marts(warehouse.query, training=quality.anomaly_training)
            judged = [(check, check.verdicts(marts, quality, excluded)) for check in checks]
        for check, verdicts in judged:
            before = _evaluated_before(context.instance, check)
            yield _result(check, verdicts, before)

    return [check_anomalies]


def _asset(check: AnomalyCheck) -> dg.AssetKey:
    return keys.warehouse_key("marts", check.mart)


def _windows(verdicts: Sequence[Verdict]) -> list[SeriesWindow]:
    """The anomalous hours of every series that fails."""
    return [window for verdict in verdicts for window in verdict.windows]


def _result(
    check: AnomalyCheck,
    verdicts: Sequence[Verdict],
    before: dg.AssetCheckEvaluation | None,
) -> dg.AssetCheckResult:
    passed = all(verdict.state is not State.ANOMALOUS for verdict in verdicts)
    metadata: dict[str, Any] = {}
    if verdicts:
        metadata = _figures(verdicts[0], check.kind)
        metadata["cold_start"] = any(v.state is State.COLD_START for v in verdicts)
        if before is not None and _is_the_same(before, metadata, passed=passed):
            # The line is built every minute and an hour closes once an hour: a picture in each
            # result would be a hundred megabytes a day.
            metadata[DETAILS] = dg.MetadataValue.md(
                "Unchanged: the first result for this hour has the picture and the table."
            )
        else:
            metadata[DETAILS] = dg.MetadataValue.md(_details(verdicts[0], check))
    if not passed:
        metadata[WINDOWS_METADATA] = dg.MetadataValue.json(windows_document(_windows(verdicts)))
    return dg.AssetCheckResult(
        asset_key=_asset(check),
        check_name=check.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=explain.sentence(verdicts, check.kind),
        metadata=metadata,
    )


def _figures(verdict: Verdict, kind: Kind) -> dict[str, Any]:
    """The newest closed hour of a series; what it does not have is left out."""
    newest = verdict.newest
    figures: dict[str, Any] = {
        "key": verdict.key,
        "training_points": verdict.learned,
        "excluded_points": verdict.excluded,
    }
    if newest is None:
        return figures
    figures[HOUR] = explain.clock(newest.hour)
    for name in ("observed", "expected", "low", "high"):
        value = getattr(newest, name)
        if value is not None:
            figures[name] = _in_units(value, kind)
    if newest.score is not None:
        figures["score"] = round(newest.score, 2)
    return figures


def _in_units(value: float, kind: Kind) -> float:
    return round(value / _MICROS if kind is Kind.MEAN else value, 6)


def _details(verdict: Verdict, check: AnomalyCheck) -> str:
    """A picture of the series and its newest hours as a table, in Markdown."""
    points = [
        BandPoint(
            hour=judged.hour,
            observed=None if judged.observed is None else _in_units(judged.observed, check.kind),
            low=None if judged.expected is None else _in_units(judged.low or 0.0, check.kind),
            high=None if judged.high is None else _in_units(judged.high, check.kind),
            anomalous=judged.anomalous,
        )
        for judged in verdict.hours
    ]
    title = f"{verdict.metric} of {verdict.key}"
    unit: Any = "percent" if check.kind is Kind.RATE else "number"
    svg = band_chart(points, title=title, unit=unit)
    picture = base64.b64encode(svg.encode()).decode()
    return (
        f"![{title}](data:image/svg+xml;base64,{picture})\n\n{explain.table(verdict, check.kind)}"
    )


def _evaluated_before(
    instance: dg.DagsterInstance, check: AnomalyCheck
) -> dg.AssetCheckEvaluation | None:
    """The newest result of a check; the run that is asking has only planned its own."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(_asset(check), check.name), limit=1, status=_DECIDED
    )
    event = records[0].event if records else None
    if event is None or event.dagster_event is None:
        return None
    return event.dagster_event.asset_check_evaluation_data


def _is_the_same(
    before: dg.AssetCheckEvaluation, metadata: dict[str, Any], *, passed: bool
) -> bool:
    names = ("key", HOUR)
    values = [(before.metadata.get(name), metadata.get(name)) for name in names]
    return before.passed == passed and all(
        old is not None and old.value == new for old, new in values
    )
