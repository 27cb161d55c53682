"""An S3 store that fails: a batch is in the lake whole or not at all, and once.

A proxy stands between the lake and a real store. Every operation meets every fault: for a while,
which retries must outlast or the caller's next try, and for good, which must end in an error that
says what to do, soon, with the lake as it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import CLICKS_CONVERSIONS
from adx_platform.lake.errors import LakeError, LakeUnavailable, RangeAlreadyCommitted
from adx_platform.lake.integrity import damaged_files
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.reading import raw_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import raw_table
from adx_platform.settings import LakeSettings
from assets_tests.integration.racing_worker import ROWS as RACED_ROWS
from assets_tests.integration.racing_worker import TOPIC_ID as RACED_TOPIC_ID
from assets_tests.servers.s3_faults import Fault, FaultyS3, Operation
from assets_tests.servers.seaweedfs import ACCESS_KEY, SECRET, SeaweedFS

pytestmark = [pytest.mark.s3, pytest.mark.slow]

RACING_WORKER = Path(__file__).with_name("racing_worker.py")
TOPIC = CLICKS_CONVERSIONS.topic
TIMEOUT_SECONDS = 1.5
HANG_SECONDS = 2.5
# The client waits up to a second or two between its five tries.
SOON_SECONDS = 45.0
TRIES = 4
ROWS = 3
LARGE = 1_900_000
"""Bytes of a value: a batch of them goes to the store in parts."""


@pytest.fixture(scope="module")
def proxy(seaweedfs: SeaweedFS) -> Iterator[FaultyS3]:
    with FaultyS3(seaweedfs.address, hang_seconds=HANG_SECONDS) as running:
        yield running


class Lake:
    """One landing, seen through the proxy, and past it; every test adds a batch."""

    def __init__(self, store: LakeSettings, proxy: FaultyS3) -> None:
        through = {"s3_endpoint": proxy.endpoint, "s3_timeout_seconds": TIMEOUT_SECONDS}
        self._direct = LakeStorage.at(str(store.uri), store)
        self.storage = LakeStorage.at(str(store.uri), store.model_copy(update=through))
        self.end = 0

    def land(self, end: int) -> None:
        """As a worker does that plans again after each failure."""
        handle = LandingHandle.open(self.storage, TOPIC, checkpoint_interval=10)
        start = handle.committed("id", 0) or 0
        if start < end:
            handle.commit(rows(start, end), "id", [OffsetRange(0, start, end)])

    def stored(self) -> tuple[int, list[int]]:
        """Cursor, and the offsets that have a row, as the store has them."""
        snapshot = raw_snapshot(self._direct, TOPIC)
        if snapshot is None:
            return 0, []
        offsets = snapshot.collect(snapshot.scan().select("offset"))["offset"]
        return snapshot.next_offset("id", 0) or 0, offsets.sort().to_list()

    def read(self, start: int, end: int) -> pl.DataFrame:
        """Rows, through the proxy."""
        snapshot = raw_snapshot(self.storage, TOPIC)
        assert snapshot is not None
        return snapshot.read("id", 0, start, end)


@pytest.fixture(scope="module")
def shared_lake(seaweedfs: SeaweedFS, proxy: FaultyS3) -> Lake:
    return Lake(seaweedfs.settings(f"faults-{uuid.uuid4().hex}"), proxy)


@pytest.fixture(scope="module")
def small_lake(seaweedfs: SeaweedFS, proxy: FaultyS3) -> Lake:
    """A lake of one file, of which every test asks."""
    made = Lake(seaweedfs.settings(f"small-{uuid.uuid4().hex}"), proxy)
    made.land(1)
    return made


@pytest.fixture
def lake(shared_lake: Lake, proxy: FaultyS3) -> Iterator[Lake]:
    """The lake without faults, with whole batches in it."""
    shared_lake.land(shared_lake.end + ROWS)
    shared_lake.end += ROWS
    yield shared_lake
    proxy.mend()
    # What this test did not come to is there before the next one begins.
    shared_lake.end = max(shared_lake.end, shared_lake.stored()[0])


def rows(start: int, end: int) -> pl.DataFrame:
    noise = np.random.default_rng(start)
    values = [noise.bytes(LARGE) for _ in range(start, end)]
    frame = pl.DataFrame(
        {
            "topic_id": ["id"] * len(values),
            "partition": [0] * len(values),
            "offset": range(start, end),
            "kafka_timestamp": [datetime(2026, 3, 2, 12, tzinfo=UTC)] * len(values),
            "value": values,
        },
        schema_overrides=RAW_SCHEMA,
    )
    missing = [pl.lit(None, RAW_SCHEMA[n]).alias(n) for n in RAW_SCHEMA if n not in frame.columns]
    return frame.with_columns(missing).select(RAW_SCHEMA.names())


def tried(work: Callable[[], object]) -> list[LakeError]:
    """What the tries before the successful one ended with."""
    failures: list[LakeError] = []
    while len(failures) < TRIES:
        try:
            work()
        except (LakeUnavailable, RangeAlreadyCommitted) as error:
            failures.append(error)
        else:
            return failures
    pytest.fail(f"none of {TRIES} tries succeeded: {failures}")


WRITTEN = (Operation.PUT, Operation.CREATE, Operation.PART, Operation.COMPLETE)
READ = (Operation.LIST, Operation.GET)
HEARD_OF_ALWAYS = (Fault.FORBIDDEN, Fault.RESET_AFTER, Fault.TORN_BODY)
# Whether it happened is not known, and a conditional put that did would refuse itself.
HEARD_OF = {(Operation.PUT, Fault.TIMEOUT)}
FOR_A_WHILE = [
    *((operation, fault) for operation in (*WRITTEN, *READ) for fault in Fault
      if fault is not Fault.TORN_BODY),
    *((operation, Fault.TORN_BODY) for operation in READ),
]  # fmt: skip


# Every operation meets a store that is overloaded for good and one that refuses; what else may last
# is told apart by the client, not by the operation, and costs ten seconds a time.
LASTING = [
    *((operation, fault) for operation in (*WRITTEN, *READ)
      for fault in (Fault.SLOW_DOWN, Fault.FORBIDDEN)),
    *((operation, fault) for operation in (Operation.PUT, Operation.LIST)
      for fault in Fault
      if fault not in
      (Fault.SLOW_DOWN, Fault.FORBIDDEN, Fault.TORN_BODY, Fault.SLOW_BODY, Fault.RESET_AFTER)),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "fault"), FOR_A_WHILE)
def test_a_fault_that_passes_costs_nothing(
    lake: Lake, proxy: FaultyS3, operation: Operation, fault: Fault
) -> None:
    start, end = lake.end, lake.end + ROWS
    proxy.break_next(operation, fault, times=2)

    failures = tried(lambda: lake.land(end))
    reads = tried(lambda: lake.read(start, end))

    assert proxy.mend() > 0, f"nothing asked for {operation}: {proxy.seen()}"
    assert lake.stored() == (end, list(range(end)))
    assert lake.read(start, end)["value"].equals(rows(start, end)["value"])
    if (operation, fault) not in HEARD_OF and fault not in HEARD_OF_ALWAYS:
        # What may pass is tried again before anybody hears of it.
        assert [*failures, *reads] == []


@pytest.mark.parametrize(("operation", "fault"), LASTING)
def test_a_fault_that_lasts_is_said_soon_and_leaves_the_lake_as_it_was(
    lake: Lake, proxy: FaultyS3, operation: Operation, fault: Fault
) -> None:
    before = lake.stored()
    assert before == (lake.end, list(range(lake.end)))
    began = time.monotonic()
    proxy.break_next(operation, fault, times=10_000)

    with pytest.raises(LakeUnavailable) as seen:
        lake.land(lake.end + ROWS)

    assert time.monotonic() - began < SOON_SECONDS
    assert "lake" in str(seen.value)
    assert lake.stored() == before
    proxy.mend()
    lake.land(lake.end + ROWS)
    assert lake.stored() == (lake.end + ROWS, list(range(lake.end + ROWS)))


def test_two_workers_on_one_lane_have_one_winner_each_time_while_the_store_fails(
    seaweedfs: SeaweedFS, proxy: FaultyS3
) -> None:
    """A commit that happened and was not heard of is nobody else's, and its loser left nothing."""
    name = f"faulty-race-{uuid.uuid4().hex}"
    store = seaweedfs.settings(name)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ADX_")} | {
        "ADX_LAKE__URI": str(store.uri),
        "ADX_LAKE__S3_ENDPOINT": proxy.endpoint,
        "ADX_LAKE__S3_ACCESS_KEY_ID": ACCESS_KEY,
        "ADX_LAKE__S3_SECRET_ACCESS_KEY": SECRET,
        "ADX_LAKE__S3_ALLOW_HTTP": "true",
        "ADX_LAKE__S3_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
    }
    with ExitStack() as running:
        workers = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, str(RACING_WORKER), TOPIC, "12"],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        for worker in workers:
            running.callback(worker.kill)
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        proxy.break_at_random(0.05, [Fault.SLOW_DOWN, Fault.RESET, Fault.RESET_AFTER], seed=7)
        outcomes = [worker.communicate("go\n", timeout=240) for worker in workers]
        assert proxy.mend() > 0
    assert [worker.returncode for worker in workers] == [0, 0], [errors for _, errors in outcomes]
    told = sum(int(output) for output, _ in outcomes)

    direct = LakeStorage.at(str(store.uri), store)
    snapshot = raw_snapshot(direct, TOPIC)
    assert snapshot is not None
    rows = snapshot.collect(snapshot.scan().select("offset", "value")).sort("offset")
    # Whoever was not told of its own success plans anew from the next offset.
    assert told > 0
    assert rows.height >= RACED_ROWS * told
    assert rows["offset"].to_list() == list(range(rows.height))
    assert snapshot.next_offset(RACED_TOPIC_ID, 0) == rows.height
    per_range = rows.group_by(pl.col("offset") // RACED_ROWS).agg(pl.col("value").n_unique())
    assert per_range["value"].to_list() == [1] * (rows.height // RACED_ROWS)


@pytest.mark.parametrize("fault", [f for f in Fault if f not in (Fault.TORN_BODY, Fault.SLOW_BODY)])
def test_no_file_is_called_damaged_because_the_store_was_away(
    small_lake: Lake, proxy: FaultyS3, fault: Fault
) -> None:
    table = raw_table(small_lake.storage, TOPIC)
    proxy.break_next(Operation.HEAD, fault, times=2)

    failures = tried(lambda: damaged_files(table))

    assert proxy.mend() > 0
    assert fault in (Fault.FORBIDDEN, Fault.RESET_AFTER) or failures == []
    assert damaged_files(table) == []
    proxy.break_next(Operation.HEAD, fault, times=10_000)
    with pytest.raises(LakeUnavailable):
        damaged_files(table)
    proxy.mend()
