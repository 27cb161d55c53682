"""The fault programme in short, on a real Apache Kafka: `make faults` is the long one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adx_platform.lake.storage import LakeStorage
from adx_platform.settings import load_settings
from assets_tests.faults.programme import Programme, Result
from assets_tests.faults.sequence import STREAM, score
from assets_tests.servers.kafka import ApacheKafka

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(300)]

PARTITIONS, PER_PARTITION = 4, 1_500
SEED = 20261127


@pytest.fixture(scope="module")
def programme(
    apache_kafka: ApacheKafka,
    tmp_path_factory: pytest.TempPathFactory,
) -> Programme:
    settings = apache_kafka.settings(partitions_per_topic=PARTITIONS, lanes_per_topic=2)
    made = Programme(
        settings, tmp_path_factory.mktemp("faults"), PER_PARTITION, 250, random.Random(SEED)
    )
    made.fill()
    return made


def assert_perfect(result: Result) -> None:
    assert result.times > 0, "nothing went wrong, so nothing was tested"
    assert result.score is not None
    assert result.score.messages == PARTITIONS * PER_PARTITION
    assert result.score.is_perfect, result


def test_killed_workers_lose_and_double_nothing(programme: Programme) -> None:
    result = programme.kills(3, within=0.6)
    assert_perfect(result)
    assert result.in_vain is not None
    assert 0 <= result.in_vain < 1
    assert result.recoveries


def test_leaders_that_die_lose_and_double_nothing(
    kafka_cluster: ApacheKafka, tmp_path: Path
) -> None:
    settings = kafka_cluster.settings(partitions_per_topic=PARTITIONS, lanes_per_topic=2)
    programme = Programme(settings, tmp_path, PER_PARTITION, 100, random.Random(SEED))
    programme.fill()
    kafka_cluster.wait_until_in_sync(STREAM)

    def mend() -> None:
        kafka_cluster.restart_killed()
        kafka_cluster.wait_until_in_sync(STREAM)

    result = programme.leader_changes(
        2, lambda: kafka_cluster.kill(kafka_cluster.leader(STREAM, 0)), mend
    )
    assert_perfect(result)
    # On a busy machine a worker may give up while the cluster elects; the next one goes on.
    assert result.times == 2
    assert len(result.recoveries) + result.ended >= result.times


def test_zombies_and_doubled_ticks_lose_and_double_nothing(programme: Programme) -> None:
    assert_perfect(programme.zombies(1))
    assert_perfect(programme.doubled(1))


def test_a_full_disk_loses_nothing(programme: Programme) -> None:
    assert_perfect(programme.full_disk(1, largest_file=2_000))


def test_the_score_finds_what_is_wrong(programme: Programme) -> None:
    """Held against other messages than were sent, the same lake is not perfect."""
    programme.doubled(1)
    storage = LakeStorage.from_settings(load_settings(home=programme.home / "doubled"))
    more = score(storage, PARTITIONS, PER_PARTITION + 10)
    assert more.lost == 2 * 10 * PARTITIONS
    assert more.misplaced > 0
