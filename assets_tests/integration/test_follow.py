"""The resident process as a person starts it: a real broker that goes and comes back, a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.cursors import landed_offsets, refined_offsets
from adx_platform.lake.storage import LakeStorage
from adx_platform.orchestration import keys
from adx_platform.orchestration.heartbeats import read_heartbeat
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.settings import KafkaSettings, Settings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG, EmbeddedBroker
from adx_platform.streams.producer import OutgoingMessage, produce

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]

STREAM = AD_IMPRESSIONS.name
PARTITIONS = 2
PATIENCE_SECONDS = 180.0


def wait_until(what: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert process is None or process.poll() is None, "the process ended"
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def send(kafka: KafkaSettings, count: int) -> None:
    now = round(time.time() * 1_000)
    messages = [
        OutgoingMessage(b"k", b"{broken %d" % number, [], now, number % PARTITIONS)
        for number in range(count)
    ]
    produce(kafka, STREAM, messages)


class Process:
    """`adx ingest --follow` of one stream."""

    def __init__(self, settings: Settings, environment: dict[str, str], port: int) -> None:
        self.settings = settings
        self.port = port
        self.log = settings.home / "follow.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    *("-c", "from adx_platform.cli.main import main; main()"),
                    *("ingest", "--follow", "--stream", STREAM),
                ],
                env=environment
                | {
                    "ADX_HOME": str(settings.home),
                    "ADX_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
                    "ADX_FOLLOW__HEALTH_PORT": str(port),
                    "ADX_FOLLOW__REPORT_INTERVAL": "PT1S",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, path: str) -> int:
        """HTTP status of the health endpoint; 0 if it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    @property
    def refined(self) -> int:
        """Offsets that are refined, over all partitions."""
        storage = LakeStorage.from_settings(self.settings)
        return sum(refined_offsets(storage, STREAM).values())


@pytest.fixture
def broker(own_broker: EmbeddedBroker) -> EmbeddedBroker:
    own_broker.start()
    with KafkaAdmin(KafkaSettings(bootstrap_servers=own_broker.bootstrap_servers)) as admin:
        admin.create_topics([STREAM], partitions=PARTITIONS, config=EMBEDDED_TOPIC_CONFIG)
    return own_broker


@pytest.fixture
def follower(
    broker: EmbeddedBroker,
    tmp_path: Path,
    clean_environment: dict[str, str],
    unused_port: int,
) -> Iterator[Process]:
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    settings = load_settings(home=tmp_path / "home", kafka=kafka)
    settings.home.mkdir()
    started = Process(settings, clean_environment, unused_port)
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.process.wait()


def broker_results(settings: Settings) -> list[bool]:
    with ensure_instance(settings) as instance:
        history = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(keys.kafka_key(STREAM), "broker"), limit=50
        )
    return [record.status.value == "SUCCEEDED" for record in reversed(history)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal that asks a process to end")
def test_it_survives_an_outage_of_the_broker_reports_it_and_says_goodbye(
    follower: Process, broker: EmbeddedBroker
) -> None:
    settings, process = follower.settings, follower.process
    send(settings.kafka, 20)
    wait_until(lambda: follower.refined == 20, process)
    wait_until(lambda: follower.ask("/ready") == 200, process)
    wait_until(lambda: broker_results(settings) == [True], process)
    broker.stop()
    wait_until(lambda: follower.ask("/ready") == 503, process)
    wait_until(lambda: broker_results(settings) == [True, False], process)
    assert follower.ask("/live") == 200
    broker.start()
    send(settings.kafka, 6)
    wait_until(lambda: follower.refined == 26, process)
    wait_until(lambda: broker_results(settings) == [True, False, True], process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    with ensure_instance(settings) as instance:
        beat = read_heartbeat(instance)
        records = instance.fetch_materializations(keys.events_key(STREAM), limit=100).records
    assert beat is not None
    assert (beat.stopped, beat.pid, beat.streams) == (True, process.pid, (STREAM,))
    reported = [r.asset_materialization for r in records if r.asset_materialization is not None]
    rows = sum(int(str(m.metadata["dagster/row_count"].value)) for m in reported)
    assert rows == 26
    log = follower.log.read_text(encoding="utf-8")
    assert log.count("all streams: could not describe") == 1
    assert log.count("all streams: over (broker)") == 1
    storage = LakeStorage.from_settings(settings)
    assert landed_offsets(storage, STREAM) == refined_offsets(storage, STREAM)
