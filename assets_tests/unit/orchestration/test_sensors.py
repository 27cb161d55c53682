"""The planner looks at offsets and at the instance's runs, and never reuses a run key."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration import keys
from adx_platform.orchestration.build import build_defs
from adx_platform.orchestration.heartbeats import Heartbeat, write_heartbeat
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.lags import PartitionLag
from adx_platform.settings import load_settings

STREAM = "ad_impressions"
JOB = keys.ingest_job_name(STREAM)


def lag(partition: int, *, refined: int | None, last_stable: int) -> PartitionLag:
    return PartitionLag(
        stream=STREAM,
        lane=partition % 2,
        partition=partition,
        topic_id="t",
        low=0,
        last_stable=last_stable,
        landed=refined,
        refined=refined,
    )


class FakeLine(Line):
    lags_now: tuple[PartitionLag, ...] = ()

    def lags(self, streams: Iterable[str]) -> list[PartitionLag]:
        return [item for item in self.lags_now if item.stream in set(streams)]


@pytest.fixture
def line(parsed_home: Path) -> FakeLine:
    return FakeLine(load_settings(home=parsed_home))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def planned_defs(line: FakeLine) -> dg.Definitions:
    return build_defs(line.settings, {"line": line})


def tick(defs: dg.Definitions, line: FakeLine, instance: dg.DagsterInstance) -> dg.SensorResult:
    sensor = defs.resolve_sensor_def("planner")
    with dg.build_sensor_context(
        instance=instance, resources={"line": line}, definitions=defs
    ) as context:
        return sensor(context)


def add_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, lane: str = "lane-0"
) -> None:
    instance.add_run(
        dg.DagsterRun(
            job_name=JOB,
            run_id=str(uuid.uuid4()),
            status=status,
            tags={keys.PARTITION_TAG: lane},
        )
    )


def test_a_lane_with_work_gets_a_run_without_run_key(
    planned_defs: dg.Definitions, line: FakeLine, instance: dg.DagsterInstance
) -> None:
    line.lags_now = (
        lag(0, refined=None, last_stable=5),
        lag(1, refined=7, last_stable=7),
        lag(2, refined=3, last_stable=4),
    )

    result = tick(planned_defs, line, instance)

    (request,) = result.run_requests or []
    assert (request.job_name, request.partition_key, request.run_key) == (JOB, "lane-0", None)
    assert request.tags[keys.STREAM_TAG] == STREAM
    assert request.tags[keys.LANE_TAG] == "0"
    assert json.loads(request.tags[keys.UNTIL_TAG]) == {"0": 5, "2": 4}
    assert json.loads(result.cursor or "")["behind"] == 6


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_a_run_in_flight_holds_its_lane_only(
    planned_defs: dg.Definitions,
    line: FakeLine,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
) -> None:
    line.lags_now = (lag(0, refined=0, last_stable=5), lag(1, refined=0, last_stable=5))
    add_run(instance, status)

    result = tick(planned_defs, line, instance)

    assert [request.partition_key for request in result.run_requests or []] == ["lane-1"]


def test_a_finished_run_does_not_hold_its_lane(
    planned_defs: dg.Definitions, line: FakeLine, instance: dg.DagsterInstance
) -> None:
    line.lags_now = (lag(0, refined=0, last_stable=5),)
    add_run(instance, dg.DagsterRunStatus.FAILURE)
    add_run(instance, dg.DagsterRunStatus.SUCCESS)

    assert len(tick(planned_defs, line, instance).run_requests or []) == 1


def test_nothing_to_do_is_said(
    planned_defs: dg.Definitions, line: FakeLine, instance: dg.DagsterInstance
) -> None:
    line.lags_now = (lag(0, refined=5, last_stable=5),)

    result = tick(planned_defs, line, instance)

    assert not result.run_requests
    assert "refined up to the last stable offset" in str(result.skip_reason)


def test_new_reference_files_are_loaded_once(
    planned_defs: dg.Definitions, line: FakeLine, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    line.settings = line.settings.model_copy(update={"home": tmp_path})
    folder = line.settings.reference_dir
    sensor = planned_defs.resolve_sensor_def("reference_files")

    def request() -> dg.RunRequest | dg.SkipReason:
        with dg.build_sensor_context(
            instance=instance, resources={"line": line}, definitions=planned_defs
        ) as context:
            found = sensor(context)
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found

    assert isinstance(request(), dg.SkipReason)
    folder.mkdir(parents=True)
    (folder / "exchanges.csv").write_text("exchange_id\nx\n", encoding="utf-8")
    first, again = request(), request()
    assert isinstance(first, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert first.run_key == again.run_key
    (folder / "exchanges.csv").write_text("exchange_id\ny\n", encoding="utf-8")
    changed = request()
    assert isinstance(changed, dg.RunRequest)
    assert changed.run_key != first.run_key


@pytest.mark.parametrize(
    ("sign", "asks"),
    [
        ({}, False),
        ({"streams": ("bid_requests",)}, True),
        ({"age": 60.0}, True),
        ({"stopped": True}, True),
    ],
)
def test_the_planner_stands_by_while_the_resident_loop_is_at_work(
    planned_defs: dg.Definitions,
    line: FakeLine,
    instance: dg.DagsterInstance,
    sign: dict[str, Any],
    asks: bool,
) -> None:
    line.lags_now = (lag(0, refined=0, last_stable=5),)
    at = time.time() - sign.get("age", 0.0)
    streams = sign.get("streams", tuple(STREAMS))
    stopped = sign.get("stopped", False)
    write_heartbeat(instance, Heartbeat(at, "box", 42, streams, 2, 5, stopped=stopped))

    result = tick(planned_defs, line, instance)

    assert bool(result.run_requests) is asks
    if not asks:
        assert "the resident loop is at work: pid 42 on box" in str(result.skip_reason)
