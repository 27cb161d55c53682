"""An S3 store that fails: a batch is in the lake whole or not at all, and once.

A proxy stands between the lake and a real store. Every operation meets every fault: for a while,
which retries must outlast or the caller's next try, and for good, which must end in an error that
says what to do, soon, with the lake as it was.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

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
from assets_tests.servers.s3_faults import Fault, FaultyS3, Operation
from assets_tests.servers.seaweedfs import SeaweedFS

pytestmark = [pytest.mark.s3, pytest.mark.slow]

TOPIC = CLICKS_CONVERSIONS.topic
TIMEOUT_SECONDS = 2.0
HANG_SECONDS = 3.5
# The client waits up to a second or two between its five tries.
SOON_SECONDS = 45.0
TRIES = 4
ROWS = 6
LARGE = 2_000_000
"""Bytes of a value: a batch of them goes to the store in parts."""


@pytest.fixture(scope="module")
def proxy(seaweedfs: SeaweedFS) -> Iterator[FaultyS3]:
    with FaultyS3(seaweedfs.address, hang_seconds=HANG_SECONDS) as running:
        yield running


class Lake:
    """One landing, seen through the proxy, and past it."""

    def __init__(self, store: LakeSettings, proxy: FaultyS3) -> None:
        self._store = store
        through = {"s3_endpoint": proxy.endpoint, "s3_timeout_seconds": TIMEOUT_SECONDS}
        self.storage = LakeStorage.at(str(store.uri), store.model_copy(update=through))

    def land(self, start: int, end: int) -> None:
        """As a worker does that plans again after each failure."""
        handle = LandingHandle.open(self.storage, TOPIC)
        committed = handle.committed("id", 0) or 0
        if committed < end:
            assert committed == start
            handle.commit(rows(start, end), "id", [OffsetRange(0, start, end)])

    def stored(self) -> tuple[int, list[int]]:
        """Cursor, and the offsets that have a row."""
        snapshot = raw_snapshot(LakeStorage.at(str(self._store.uri), self._store), TOPIC)
        if snapshot is None:
            return 0, []
        offsets = snapshot.collect(snapshot.scan().select("offset"))["offset"]
        return snapshot.next_offset("id", 0) or 0, offsets.sort().to_list()

    def read(self) -> pl.DataFrame:
        """All rows, through the proxy."""
        snapshot = raw_snapshot(self.storage, TOPIC)
        assert snapshot is not None
        return snapshot.read("id", 0, 0, ROWS)


@pytest.fixture
def lake(seaweedfs: SeaweedFS, proxy: FaultyS3) -> Iterator[Lake]:
    """A lake of the test's own, with one batch in it."""
    made = Lake(seaweedfs.settings(f"faults-{uuid.uuid4().hex}"), proxy)
    made.land(0, ROWS)
    yield made
    proxy.mend()


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
FOR_A_WHILE = [
    *((operation, fault) for operation in (*WRITTEN, *READ) for fault in Fault
      if fault not in (Fault.TORN_BODY, Fault.SLOW_BODY)),
    *((operation, fault) for operation in READ for fault in (Fault.TORN_BODY, Fault.SLOW_BODY)),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "fault"), FOR_A_WHILE)
def test_a_fault_that_passes_costs_nothing(
    lake: Lake, proxy: FaultyS3, operation: Operation, fault: Fault
) -> None:
    proxy.break_next(operation, fault, times=2)

    failures = tried(lambda: lake.land(ROWS, 2 * ROWS))
    reads = tried(lake.read)

    assert proxy.mend() > 0, f"nothing asked for {operation}: {proxy.seen()}"
    assert lake.stored() == (2 * ROWS, list(range(2 * ROWS)))
    assert lake.read()["value"].equals(rows(0, ROWS)["value"])
    if fault not in (Fault.FORBIDDEN, Fault.RESET_AFTER, Fault.TORN_BODY):
        # What may pass is tried again before anybody hears of it.
        assert [*failures, *reads] == []


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.TOO_MANY, Fault.SLOW_DOWN, Fault.RESET])
@pytest.mark.parametrize("operation", [*WRITTEN, *READ])
def test_a_fault_that_lasts_is_said_soon_and_leaves_the_lake_as_it_was(
    lake: Lake, proxy: FaultyS3, operation: Operation, fault: Fault
) -> None:
    began = time.monotonic()
    proxy.break_next(operation, fault, times=10_000)

    with pytest.raises(LakeUnavailable) as seen:
        lake.land(ROWS, 2 * ROWS)

    assert time.monotonic() - began < SOON_SECONDS
    assert "lake" in str(seen.value)
    assert lake.stored() == (ROWS, list(range(ROWS)))
    proxy.mend()
    lake.land(ROWS, 2 * ROWS)
    assert lake.stored() == (2 * ROWS, list(range(2 * ROWS)))


@pytest.mark.parametrize("fault", [f for f in Fault if f not in (Fault.TORN_BODY, Fault.SLOW_BODY)])
def test_no_file_is_called_damaged_because_the_store_was_away(
    lake: Lake, proxy: FaultyS3, fault: Fault
) -> None:
    table = raw_table(lake.storage, TOPIC)
    proxy.break_next(Operation.HEAD, fault, times=2)

    failures = tried(lambda: damaged_files(table))

    assert proxy.mend() > 0
    assert fault in (Fault.FORBIDDEN, Fault.RESET_AFTER) or failures == []
    assert damaged_files(table) == []
    proxy.break_next(Operation.HEAD, fault, times=10_000)
    with pytest.raises(LakeUnavailable):
        damaged_files(table)
