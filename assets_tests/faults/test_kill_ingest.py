"""SIGKILL at every named instant of ingesting and reprocessing: nothing lost, nothing doubled.

Real processes, a real broker, a real lake. Each kill is followed by a fresh process, which meets
whatever the dead one left. What an undisturbed run makes of the same topic is the measure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.faultpoints import VARIABLE
from adx_platform.lake.cursors import landed_offsets, refined_offsets
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.restatements import list_restatements, pending_restatements
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import open_platform
from adx_platform.settings import KafkaSettings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG, EmbeddedBroker
from adx_platform.streams.producer import OutgoingMessage, produce

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"),
]

STREAM = "ad_impressions"
WORKER = Path(__file__).with_name("ingest_worker.py")
NOON_MS = 1_772_452_800_000
PARTITIONS = 2
PER_PARTITION = 300
BATCH = 60
PLACES = [(p, o) for p in range(PARTITIONS) for o in range(PER_PARTITION)]

INGEST_KILLS = [
    "plan.done",
    "land.read",
    "land.before_commit",
    "land.after_commit",
    "refine.decoded",
    "refine.before_commit",
    "refine.after_commit",
    "land.after_commit:2",
]


def _value(number: int) -> bytes:
    odd = number % 10
    if odd == 3:
        return b"{broken"
    # 7 repeats an event byte for byte, 8 repeats one with other content; both in its partition.
    source = number - 2 if odd in {7, 8} else number
    return json.dumps(
        {
            "event_type": "rendered",
            "event_id": f"event-{source}",
            "ts": (NOON_MS + source) * 1000,
            "impression_id": f"impression-{source}{'!' if odd == 8 else ''}",
            "exchange_id": "x1",
            "request_id": f"request-{source}",
            "imp_id": "1",
            "bid_id": f"bid-{source}",
            "campaign_id": "c1",
            "creative_id": "cr1",
            "advertiser_id": "a1",
            "publisher_id": "p1",
        }
    ).encode()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    if importlib.util.find_spec("noida_db") is None:
        pytest.skip("the embedded broker is not installed (extra `embedded`)")
    folder = tmp_path_factory.mktemp("broker")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    broker = EmbeddedBroker(folder / "data", port, folder / "broker.log")
    broker.start()
    settings = KafkaSettings(
        bootstrap_servers=broker.bootstrap_servers,
        partitions_per_topic=PARTITIONS,
        lanes_per_topic=1,
    )
    with KafkaAdmin(settings) as admin:
        admin.create_topics([STREAM], config=EMBEDDED_TOPIC_CONFIG)
    produce(
        settings,
        STREAM,
        (
            OutgoingMessage(b"k", _value(n), None, NOON_MS + n, n % PARTITIONS)
            for n in range(PARTITIONS * PER_PARTITION)
        ),
    )
    yield settings
    broker.stop()


def _start(
    home: Path, kafka: KafkaSettings, *arguments: str, kill_at: str = ""
) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ADX_")}
    return subprocess.Popen(
        [sys.executable, str(WORKER), *arguments],
        env={
            **clean,
            "ADX_HOME": str(home),
            "ADX_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "ADX_KAFKA__LANES_PER_TOPIC": "1",
            "ADX_INGEST__MAX_RECORDS_PER_BATCH": str(BATCH),
            **({VARIABLE: kill_at} if kill_at else {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(home: Path, kafka: KafkaSettings, *arguments: str, kill_at: str = "") -> int:
    process = _start(home, kafka, *arguments, kill_at=kill_at)
    output, _ = process.communicate(timeout=60)
    assert process.returncode in {0, -signal.SIGKILL}, output
    return process.returncode


def _storage(home: Path) -> LakeStorage:
    return LakeStorage.from_settings(load_settings(home=home))


def _raw(home: Path) -> pl.DataFrame:
    snapshot = raw_snapshot(_storage(home), STREAM)
    assert snapshot is not None
    return snapshot.scan().sort("partition", "offset").collect()


def _events(home: Path) -> pl.DataFrame:
    snapshot = events_snapshot(_storage(home), STREAM, AD_IMPRESSIONS.events_schema)
    if snapshot is None:
        return pl.DataFrame(schema=AD_IMPRESSIONS.events_schema)
    names = AD_IMPRESSIONS.events_schema.names()
    return snapshot.scan().select(names).sort("partition", "offset").collect()


def _places(rows: pl.DataFrame) -> list[tuple[int, int]]:
    return rows.select("partition", "offset").rows()


def _pending_revisions(home: Path) -> list[int]:
    storage = _storage(home)
    snapshot = events_snapshot(storage, STREAM, AD_IMPRESSIONS.events_schema)
    assert snapshot is not None
    return [r.revision for r in pending_restatements(storage, STREAM, snapshot)]


def _assert_stored_rows_match_cursors(home: Path) -> None:
    """What a crash leaves is a beginning of each partition, without hole or double."""
    storage = _storage(home)
    for rows, cursors in (
        (_raw(home), landed_offsets(storage, STREAM)),
        (_events(home), refined_offsets(storage, STREAM)),
    ):
        expected = [(p, o) for (_, p), end in sorted(cursors.items()) for o in range(end)]
        assert _places(rows) == expected


@pytest.fixture(scope="module")
def undisturbed(kafka: KafkaSettings, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    home = tmp_path_factory.mktemp("undisturbed")
    settings = load_settings(home=home, kafka=kafka, ingest={"max_records_per_batch": BATCH})
    ingest_lane(open_platform(settings), STREAM, 0)
    events = _events(home)
    assert _places(events) == PLACES
    counts = dict(events.group_by("disposition").len().iter_rows())
    assert min(counts[d] for d in ("accepted", "rejected", "duplicate", "conflict")) > 10
    return events


def test_killed_at_every_instant_the_line_ends_as_if_undisturbed(
    kafka: KafkaSettings, undisturbed: pl.DataFrame, tmp_path: Path
) -> None:
    for point in INGEST_KILLS:
        assert _run(tmp_path, kafka, "ingest", kill_at=point) == -signal.SIGKILL, point
        if landed_offsets(_storage(tmp_path), STREAM):
            _assert_stored_rows_match_cursors(tmp_path)
    # The kills must not have come after all the work: then they would prove nothing.
    assert _places(_events(tmp_path)) != PLACES
    assert _run(tmp_path, kafka, "ingest") == 0
    assert _places(_raw(tmp_path)) == PLACES
    assert_frame_equal(_events(tmp_path), undisturbed)

    # Announced and not applied is visible to everyone, and the old rows still stand.
    for start, point in ((100, "reprocess.announced"), (200, "reprocess.before_commit")):
        arguments = ("reprocess", "1", str(start), str(start + BATCH))
        assert _run(tmp_path, kafka, *arguments, kill_at=point) == -signal.SIGKILL, point
        assert _pending_revisions(tmp_path) == [1]
        assert_frame_equal(_events(tmp_path), undisturbed)
    # The second died while it finished the first one's work, before it had announced its own.
    assert _run(tmp_path, kafka, "reprocess", "1", "200", str(200 + BATCH)) == 0
    assert _pending_revisions(tmp_path) == []
    assert [(r.revision, r.start, r.end) for r in list_restatements(_storage(tmp_path))] == [
        (1, 100, 160),
        (2, 200, 260),
    ]
    restated = _events(tmp_path)
    assert _places(restated) == PLACES
    expected = [
        {100: 1, 200: 2}.get(o - o % 100, 0) if p == 1 and o % 100 < BATCH else 0 for p, o in PLACES
    ]
    assert restated["revision"].to_list() == expected
    outside = restated.filter(revision=0)
    assert_frame_equal(
        outside,
        undisturbed.join(outside, on=["partition", "offset"], how="semi", maintain_order="left"),
    )


def test_two_workers_on_one_lane_and_a_doubled_tick_double_nothing(
    kafka: KafkaSettings, undisturbed: pl.DataFrame, tmp_path: Path
) -> None:
    workers = [_start(tmp_path, kafka, "ingest") for _ in range(2)]
    for worker in workers:
        output, _ = worker.communicate(timeout=90)
        assert worker.returncode == 0, output
    # All may have stopped for each other; what is left is the next tick's.
    assert _run(tmp_path, kafka, "ingest") == 0
    _assert_stored_rows_match_cursors(tmp_path)
    assert _places(_raw(tmp_path)) == PLACES
    events = _events(tmp_path)
    assert _places(events) == PLACES
    accepted = events.filter(pl.col("disposition").is_in(["accepted", "rejected"])).height
    assert (
        accepted == undisturbed.filter(pl.col("disposition").is_in(["accepted", "rejected"])).height
    )
