"""SIGKILL at every named instant of a repair: the next one finishes it, and nothing is missing.

Real processes, a real broker, a real lake with torn files in both layers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.faultpoints import VARIABLE
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.repairs import open_repairs, repair_entries
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.repair import repair_stream
from adx_platform.quality.lake_rows import recount_landing, refined_window
from adx_platform.settings import IngestSettings, KafkaSettings, Settings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG, EmbeddedBroker
from adx_platform.streams.producer import OutgoingMessage, produce

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"),
]

STREAM = "ad_impressions"
WORKER = Path(__file__).with_name("repair_worker.py")
NOON_MS = 1_772_452_800_000
BATCH = 40
KILLS = [
    "repair.announced",
    "repair.moved",
    "repair.moved:2",
    "repair.taken_out",
    "repair.landed",
    "reprocess.announced",
    "reprocess.before_commit",
    "repair.refined",
]


@pytest.fixture(scope="module")
def broker_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    if importlib.util.find_spec("noida_db") is None:
        pytest.skip("the embedded broker is not installed (extra `embedded`)")
    folder = tmp_path_factory.mktemp("broker")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    broker = EmbeddedBroker(folder / "data", port, folder / "broker.log")
    broker.start()
    kafka = KafkaSettings(
        bootstrap_servers=broker.bootstrap_servers, partitions_per_topic=2, lanes_per_topic=1
    )
    with KafkaAdmin(kafka) as admin:
        admin.create_topics([STREAM], config=EMBEDDED_TOPIC_CONFIG)
    produce(
        kafka,
        STREAM,
        (OutgoingMessage(b"k", b"{%d" % n, None, NOON_MS + n, n % 2) for n in range(200)),
    )
    yield kafka
    broker.stop()


@pytest.fixture(scope="module")
def whole(
    broker_settings: KafkaSettings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[pl.DataFrame]]:
    """A home with an undamaged lake, and its rows."""
    home = tmp_path_factory.mktemp("whole")
    platform = open_platform(settings_of(home, broker_settings))
    ingest_lane(platform, STREAM, 0)
    return home, stored(platform.storage)


def settings_of(home: Path, kafka: KafkaSettings) -> Settings:
    return load_settings(home=home, kafka=kafka, ingest=IngestSettings(max_records_per_batch=BATCH))


def stored(storage: LakeStorage) -> list[pl.DataFrame]:
    raw = raw_snapshot(storage, STREAM)
    events = events_snapshot(storage, STREAM, AD_IMPRESSIONS.events_schema)
    assert raw is not None
    assert events is not None
    names = [n for n in AD_IMPRESSIONS.events_schema.names() if n != "revision"]
    return [
        raw.scan().sort("partition", "offset").collect(),
        events.scan().select(names).sort("partition", "offset").collect(),
    ]


def tear(platform: Platform) -> None:
    """Two files of each layer."""
    for layer in ("raw", "events"):
        uri = platform.storage.table_uri(f"{layer}/{STREAM}")
        actions = pl.DataFrame(DeltaTable(uri).get_add_actions(flatten=True)).sort("min.offset")
        for path in actions["path"][1:3]:
            victim = Path(uri, path)
            victim.write_bytes(victim.read_bytes()[:-40])


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_repair_is_finished_by_the_next_one(
    broker_settings: KafkaSettings,
    whole: tuple[Path, list[pl.DataFrame]],
    tmp_path: Path,
    point: str,
) -> None:
    home, before = tmp_path / "home", whole[1]
    shutil.copytree(whole[0], home)
    platform = open_platform(settings_of(home, broker_settings))
    tear(platform)

    killed = subprocess.run(
        [sys.executable, str(WORKER)],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("ADX_")},
            "ADX_HOME": str(home),
            "ADX_KAFKA__BOOTSTRAP_SERVERS": broker_settings.bootstrap_servers,
            "ADX_KAFKA__LANES_PER_TOPIC": "1",
            "ADX_INGEST__MAX_RECORDS_PER_BATCH": str(BATCH),
            VARIABLE: point,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr

    repair_stream(platform, STREAM)

    for was, now in zip(before, stored(platform.storage), strict=True):
        assert now.equals(was)
    equations = [
        *recount_landing(platform.storage, AD_IMPRESSIONS),
        *refined_window(platform.storage, AD_IMPRESSIONS).equations,
    ]
    assert {equation.verdict for equation in equations} == {"holds"}
    assert open_repairs(repair_entries(platform.storage)) == {}
    assert not repair_stream(platform, STREAM).changed
    kept = list(Path(platform.storage.uri, "quarantine").rglob("*.parquet"))
    assert len(kept) == 4
