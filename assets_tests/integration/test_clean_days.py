"""Two clean weeks raise no alarm, and faults do: on the marts of a simulated market.

The market has its ordinary dirt (duplicates, late events, broken messages); what is clean about it
is that nothing was injected. Its messages are refined, loaded and built by the platform itself.
``pytest -s`` prints the table that ``docs/anomalies.md`` has.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.quality.anomaly.marts import Marts, read_marts
from adx_platform.settings import Settings, load_settings
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.simulator import simulate
from assets_tests.dbt_in_process import invoke
from assets_tests.integration.anomaly_walk import CASES, CHECKS, alarms, hours, try_case

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(900),
    # dbt and its dependencies warn about their own future; that is not ours to fix.
    pytest.mark.filterwarnings("default"),
    # Each start of dbt replaces the log file of the one before without closing it.
    pytest.mark.filterwarnings("ignore:unclosed file .*dbt.log:ResourceWarning"),
]

PROJECT = Path(__file__).parents[2] / "dbt_project"
START = datetime(2026, 1, 19, tzinfo=UTC)  # a Monday
LEARNED_DAYS, WALKED_DAYS = 28, 14
WALK = START + timedelta(days=LEARNED_DAYS)
MESSAGES_PER_HOUR = 300
SEED = 20260119
TIMES_LARGER = 40


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Marts:
    """Six weeks of a market through refining, loading and dbt."""
    settings = load_settings(home=tmp_path_factory.mktemp("market"))
    days = LEARNED_DAYS + WALKED_DAYS
    market = MarketConfig(seed=SEED, events=MESSAGES_PER_HOUR * 24 * days, start=START, days=days)
    simulate(market, settings.home, registry=FileSchemaRegistry(settings.registry_dir))
    platform = open_platform(settings)
    line = Line(settings)
    line.load_reference()
    for stream in STREAMS.values():
        _ingest(platform, stream, settings)
        line.load(stream.name)
    _build(settings)
    with line.warehouse() as warehouse:
        return read_marts(warehouse.query, training=timedelta(days=days))


def _ingest(platform: Platform, stream: Stream, settings: Settings) -> None:
    """Land the simulated messages as if the broker had them, and refine them."""
    wire = pl.read_parquet(settings.simulation_dir.parent / "wire" / f"{stream.topic}.parquet")
    raw = (
        wire.sort("partition", "sequence")
        .select(
            topic_id=pl.lit("topic"),
            partition="partition",
            offset="sequence",
            gap_kind=pl.lit(None),
            gap_length=pl.lit(None),
            kafka_timestamp=pl.from_epoch("timestamp_ms", time_unit="ms").dt.replace_time_zone(
                "UTC"
            ),
            key="key",
            value="value",
            headers="headers",
        )
        .cast(RAW_SCHEMA)
    )
    counts = raw.group_by("partition").len().sort("partition")
    spans = [OffsetRange(partition, 0, count) for partition, count in counts.iter_rows()]
    platform.landing(stream).commit(raw, "topic", spans)
    for lane in range(settings.kafka.lanes_per_topic):
        while refine_pending(platform, stream, lane) is not None:
            pass


def _build(settings: Settings) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADX_DUCKDB_PATH", str(settings.duckdb_path))
        done = invoke(
            "build", "--select", "+agg_arrivals_hourly", "+agg_exchange_hourly",
            "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test",
            "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
            "--target", "duckdb", "--target-path", str(settings.home / "target"),
            "--log-path", str(settings.home / "logs"),
        )  # fmt: skip
    assert done.success, done.exception


def test_the_marts_have_every_hour_of_every_series(marts: Marts) -> None:
    lengths = {
        name: [len(series) for series in check.series(marts)] for name, check in CHECKS.items()
    }

    assert sum(map(len, lengths.values())) == 26, lengths
    assert all(
        length >= 24 * (LEARNED_DAYS + WALKED_DAYS) - 12
        for of_check in lengths.values()
        for length in of_check
    ), lengths


def test_fourteen_clean_days_raise_no_alarm(marts: Marts) -> None:
    raised = {
        (name, series.key): found
        for name, check in CHECKS.items()
        for series in check.series(marts)
        if (found := alarms(check, series, hours(WALK, 24 * WALKED_DAYS)))
    }

    assert raised == {}


@pytest.mark.parametrize("times_larger", [1, TIMES_LARGER])
def test_faults_are_seen_within_two_closed_hours(marts: Marts, times_larger: int) -> None:
    cases = [case for case in CASES if times_larger > 1 or case.small_market]

    outcomes = {
        case: try_case(case, marts, WALK, 24 * WALKED_DAYS, times_larger=times_larger)
        for case in CASES
    }

    size = MESSAGES_PER_HOUR * times_larger
    lines = [f"{size:,} messages an hour: alarm within 1, 2, 3 closed hours, and 2 hours after"]
    sys.stdout.write("\n".join(["", *lines, *map(str, outcomes.values()), ""]))
    missed = [str(outcomes[case]) for case in cases if outcomes[case].recall(2) < 0.9]
    assert missed == []
    assert [str(o) for o in outcomes.values() if o.lingering > 1] == []
