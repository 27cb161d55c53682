"""Three brokers of a real Apache Kafka, of which one dies: nothing is lost and nothing is doubled.

Over TLS with SASL/SCRAM, as such clusters are run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.lags import lags
from adx_platform.pipeline.reports import BatchReport
from adx_platform.streams.producer import OutgoingMessage
from assets_tests.integration.kafka_line import TOPIC, KafkaLine, impression, message
from assets_tests.servers.kafka import ApacheKafka

pytestmark = [pytest.mark.java, pytest.mark.slow]

PARTITIONS = 3
COUNT = 6_000
OUTAGE_SECONDS = 10.0


@pytest.fixture
def cluster(kafka_cluster: ApacheKafka) -> Iterator[ApacheKafka]:
    """All brokers are there, before and after the test."""
    yield kafka_cluster
    kafka_cluster.restart_killed()


@pytest.fixture
def line(cluster: ApacheKafka, tmp_path: Path) -> KafkaLine:
    made = KafkaLine(cluster.secure_settings(), tmp_path / "home", partitions=PARTITIONS, batch=500)
    cluster.wait_until_in_sync(TOPIC)
    return made


def require_everything_once(line: KafkaLine) -> None:
    equations = line.equations()
    assert {key: (e.start, e.end) for key, e in equations.items()} == {
        (line.topic_id, p): (0, COUNT // PARTITIONS) for p in range(PARTITIONS)
    }
    assert sum(e.accepted for e in equations.values()) == COUNT
    rows = line.raw
    for partition in range(PARTITIONS):
        mine = rows.filter(rows["partition"] == partition)
        assert mine["offset"].to_list() == list(range(COUNT // PARTITIONS))
        expected = [impression(n) for n in range(partition, COUNT, PARTITIONS)]
        assert mine["value"].to_list() == expected


def test_a_leader_that_dies_under_the_resident_loop_and_the_producer_costs_nothing(
    line: KafkaLine, cluster: ApacheKafka
) -> None:
    is_killed = threading.Event()

    def numbered() -> Iterator[OutgoingMessage]:
        for number in range(COUNT):
            if number == COUNT // 2:
                is_killed.wait()
            yield message(number, number % PARTITIONS)

    with line.following() as followed:
        sending = threading.Thread(target=line.send, args=(numbered(),))
        sending.start()
        try:
            followed.wait_for(COUNT // 3)
            cluster.kill(cluster.leader(TOPIC, 0))
        finally:
            is_killed.set()
            sending.join()
        followed.wait_for(COUNT)
    require_everything_once(line)


def test_a_leader_that_dies_between_two_batches_of_a_run_costs_nothing(
    line: KafkaLine, cluster: ApacheKafka
) -> None:
    line.send(message(number, number % PARTITIONS) for number in range(COUNT))
    batches: list[BatchReport] = []

    def after(report: BatchReport) -> None:
        batches.append(report)
        if len(batches) == 2:
            cluster.kill(cluster.leader(TOPIC, 1))

    ingest_lane(line.platform, TOPIC, 0, on_batch=after)
    assert len(batches) == COUNT // 500
    require_everything_once(line)


def test_all_brokers_that_die_and_come_back_cost_nothing_but_the_time(
    line: KafkaLine, cluster: ApacheKafka
) -> None:
    with line.following() as followed:
        line.send(message(number, number % PARTITIONS) for number in range(COUNT // 2))
        followed.wait_for(COUNT // 6)
        cluster.stop()
        time.sleep(OUTAGE_SECONDS)
        cluster.restart_killed()
        cluster.wait_until_in_sync(TOPIC)
        line.send(message(number, number % PARTITIONS) for number in range(COUNT // 2, COUNT))
        followed.wait_for(COUNT)
    require_everything_once(line)
    assert [lag.behind for lag in lags(line.platform, TOPIC)] == [0] * PARTITIONS
    # It was said, and so was its end.
    assert followed.troubles
    assert followed.troubles[-1].over_at is not None
