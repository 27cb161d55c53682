"""The anomaly checks as Dagster runs them: verdicts, windows, remedies, and how much they write."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb
import pytest

from adx_platform.orchestration.checks_anomaly import anomaly_check_definitions
from adx_platform.orchestration.resources import Line
from adx_platform.quality.incidents.documents import (
    WINDOWS_METADATA,
    windows_from,
)
from adx_platform.quality.incidents.model import (
    Finding,
    SeriesWindow,
    Severity,
    Source,
)
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings

START = datetime(2026, 2, 2, tzinfo=UTC)
DAYS = 12
END = START + timedelta(days=DAYS)
STREAMS = ("bid_requests", "ad_impressions", "clicks_conversions")
HOUR = timedelta(hours=1)
# Every hour alike but for a little noise: what is unusual is what a test puts in.
MARTS = f"""
create schema marts;
create table marts.agg_arrivals_hourly as
select h as hour_start, s as stream, x as exchange_id,
    cast(case when x = 'unknown' then 2 else 200 + (hour(h) * 7 + day(h)) % 13 end as bigint)
        as messages,
    case when x = 'unknown' then 0 else messages - 4 end as accepted,
    case when x = 'unknown' then messages else 0 end as rejected,
    cast(case when x = 'unknown' then 0 else 3 end as bigint) as duplicates,
    cast(case when x = 'unknown' then 0 else 1 end as bigint) as conflicts,
    cast(case when x = 'unknown' then 0 else 4 end as bigint) as late,
    h + interval 59 minute as last_arrived_at, cast(h as date) as arrival_date
from generate_series(timestamp '2026-02-02', timestamp '2026-02-13 23:00', interval 1 hour) t(h),
    (values {", ".join(f"('{stream}')" for stream in STREAMS)}) streams(s),
    (values ('ex-1'), ('ex-2'), ('unknown')) exchanges(x);
create table marts.agg_exchange_hourly as
select hour_start, exchange_id, 'EUR' as currency, cast(100 as bigint) as bids,
    cast(40 + hour(hour_start) % 3 as bigint) as wins, wins as priced_wins,
    wins * (2000000 + hour(hour_start) * 1000) as clearing_price_cpm_micros,
    cast(300 as bigint) as net_impressions, cast(9 as bigint) as net_clicks,
    arrival_date as event_date
from marts.agg_arrivals_hourly where stream = 'bid_requests' and exchange_id <> 'unknown';
"""
NEWEST = "hour_start >= timestamp '2026-02-13 22:00'"

Run = Callable[[], dict[str, dg.AssetCheckEvaluation]]


@pytest.fixture
def line(settings: Settings) -> Line:
    """A warehouse with twelve ordinary days."""
    line = Line(settings)
    with line.warehouse():
        pass
    change(line, MARTS)
    return line


def change(line: Line, sql: str) -> None:
    with duckdb.connect(str(line.settings.duckdb_path)) as connection:
        connection.execute(sql)


@pytest.fixture
def run(line: Line) -> Iterator[Run]:
    defs = dg.Definitions(
        asset_checks=anomaly_check_definitions(),
        jobs=[dg.define_asset_job("anomalies", dg.AssetSelection.all_asset_checks())],
        resources={"line": line},
        executor=dg.in_process_executor,
    )
    job = defs.resolve_job_def("anomalies")
    with dg.DagsterInstance.ephemeral() as instance:
        yield lambda: {
            evaluation.check_name: evaluation
            for evaluation in job.execute_in_process(
                instance=instance
            ).get_asset_check_evaluations()
        }


def failed(found: dict[str, dg.AssetCheckEvaluation]) -> set[str]:
    return {name for name, evaluation in found.items() if not evaluation.passed}


def size_of(evaluation: dg.AssetCheckEvaluation) -> int:
    return len(dg.serialize_value(evaluation))


def test_ordinary_days_pass_and_say_what_was_expected(run: Run) -> None:
    found = run()

    assert failed(found) == set()
    assert len(found) == 17
    volume = found["volume_bid_requests"]
    assert volume.asset_key == dg.AssetKey(["warehouse", "marts", "agg_arrivals_hourly"])
    assert volume.metadata["hour"].value == "2026-02-13 22:00 UTC"
    low, observed, high = (volume.metadata[name].value for name in ("low", "observed", "high"))
    assert isinstance(low, float)
    assert isinstance(observed, float)
    assert isinstance(high, float)
    assert low < observed < high
    assert volume.metadata["training_points"].value == 24 * DAYS - 1 - 3
    assert volume.metadata["excluded_points"].value == 0
    assert volume.metadata["cold_start"].value is False
    assert found["cpm"].metadata["observed"].value == pytest.approx(2.022)
    assert WINDOWS_METADATA not in volume.metadata


def test_the_picture_is_an_svg_and_an_event_stays_small(run: Run) -> None:
    found = run()

    for name, evaluation in found.items():
        assert size_of(evaluation) < 15_000, name
        text = str(evaluation.metadata["series"].value)
        (encoded,) = re.findall(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([^)]+)\)", text)
        assert base64.b64decode(encoded).startswith(b"<svg ")
        assert text.count("\n| ") == 1 + 24, "head and a day of hours"


def test_an_unchanged_hour_is_not_drawn_again(run: Run, line: Line) -> None:
    first, second = run(), run()

    assert all(size_of(evaluation) < 2_000 for evaluation in second.values())
    assert {n: e.passed for n, e in second.items()} == {n: e.passed for n, e in first.items()}
    change(line, f"update marts.agg_arrivals_hourly set rejected = 150, messages = 150 where "
                 f"exchange_id = 'unknown' and stream = 'bid_requests' and {NEWEST}")  # fmt: skip
    third = run()
    assert size_of(third["reject_rate_bid_requests"]) > 2_000, "the verdict changed"
    assert size_of(third["reject_rate_ad_impressions"]) < 2_000


def test_a_storm_of_rejects_warns_with_its_hours(run: Run, line: Line) -> None:
    change(
        line,
        f"""
        update marts.agg_arrivals_hourly set rejected = 150, messages = 150
        where exchange_id = 'unknown' and stream = 'bid_requests' and {NEWEST}
        """,
    )

    found = run()

    assert failed(found) == {"reject_rate_bid_requests"}
    evaluation = found["reject_rate_bid_requests"]
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert not evaluation.blocking
    assert "expected" in str(evaluation.description)
    windows = evaluation.metadata[WINDOWS_METADATA].value
    assert isinstance(windows, list)
    assert windows_from(windows) == (
        SeriesWindow("reject_rate", "bid_requests", END - 2 * HOUR, END - HOUR),
    )


def test_a_silent_stream_is_closed_by_the_others(run: Run, line: Line) -> None:
    change(
        line,
        "delete from marts.agg_arrivals_hourly where stream = 'ad_impressions' "
        "and hour_start >= timestamp '2026-02-13 21:00'",
    )

    found = run()

    assert failed(found) == {"volume_ad_impressions", "exchange_volume_ad_impressions"}
    evaluation = found["exchange_volume_ad_impressions"]
    windows = evaluation.metadata[WINDOWS_METADATA].value
    assert isinstance(windows, list)
    assert {window.key for window in windows_from(windows)} == {
        "ad_impressions/ex-1",
        "ad_impressions/ex-2",
    }


def test_hours_of_incidents_are_not_learned_from(run: Run, line: Line) -> None:
    window = SeriesWindow("volume", "bid_requests", END - 48 * HOUR, END - 24 * HOUR)
    finding = Finding(
        Source.CHECK,
        "warehouse/marts/agg_arrivals_hourly",
        "volume_bid_requests",
        passed=False,
        severity=Severity.WARNING,
        description="odd",
        at=END,
        windows=(window,),
    )
    with IncidentStore.open(line.settings.incidents_url) as store:
        store.record([finding], settings=line.settings.incidents, now=END)

    found = run()

    assert found["volume_bid_requests"].metadata["excluded_points"].value == 24
    assert found["volume_ad_impressions"].metadata["excluded_points"].value == 0


def test_an_empty_mart_passes_and_says_so(run: Run, line: Line) -> None:
    change(line, "delete from marts.agg_arrivals_hourly; delete from marts.agg_exchange_hourly")

    found = run()

    assert failed(found) == set()
    assert {evaluation.description for evaluation in found.values()} == {"nothing has arrived yet"}


def test_they_run_in_the_build_after_their_marts(defs: dg.Definitions) -> None:
    job = defs.resolve_job_def("build")

    assert "check_anomalies" in [node.name for node in job.nodes]
    (definition,) = anomaly_check_definitions()
    assert not any(spec.blocking for spec in definition.check_specs)
    assert len(list(definition.check_specs)) == 17
    assert all(spec.description for spec in definition.check_specs)
