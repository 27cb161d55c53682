"""Topics of a real Apache Kafka that change under a reader: they grow, go, and come back as others.

One broker. Only a real one gives topics identities, which tell two topics of one name apart.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka.admin import NewPartitions

from adx_platform.pipeline import lane as lane_module
from adx_platform.pipeline.troubles import TroubleKind
from adx_platform.streams.admin import KafkaAdmin
from assets_tests.integration.kafka_line import (
    TOPIC,
    Followed,
    KafkaLine,
    impression,
    message,
    wait_until,
)
from assets_tests.servers.kafka import ApacheKafka

pytestmark = [pytest.mark.java, pytest.mark.slow]

MakeLine = Callable[..., KafkaLine]


@pytest.fixture
def make_line(apache_kafka: ApacheKafka, tmp_path: Path) -> MakeLine:
    def make(**options: object) -> KafkaLine:
        return KafkaLine(apache_kafka.settings(), tmp_path / "home", **options)  # type: ignore[arg-type] # passed on as is

    return make


def grow(kafka: ApacheKafka, partitions: int) -> None:
    client = kafka.client()
    for future in client.create_partitions([NewPartitions(TOPIC, partitions)]).values():
        future.result(timeout=10)


def told(followed: Followed) -> list[TroubleKind]:
    return [trouble.kind for trouble in followed.troubles if trouble.over_at is None]


def test_partitions_that_are_added_are_read_from_their_first_message(
    make_line: MakeLine, apache_kafka: ApacheKafka
) -> None:
    line = make_line(batch=7)
    line.send(message(number) for number in range(20))
    with line.following() as followed:
        followed.wait_for(20)
        grow(apache_kafka, 3)
        with KafkaAdmin(line.kafka) as admin:
            wait_until(lambda: len(admin.describe(TOPIC).partitions) == 3, "no new partitions")
        line.send(message(number, number % 3) for number in range(20, 50))
        followed.wait_for(50)
        assert told(followed) == []
    equations = line.equations()
    assert {key: e.end for key, e in equations.items()} == {
        (line.topic_id, 0): 30,
        (line.topic_id, 1): 10,
        (line.topic_id, 2): 10,
    }
    assert sum(e.accepted for e in equations.values()) == 50
    assert sorted(map(str, line.values())) == sorted(str(impression(n)) for n in range(50))


def test_a_topic_that_is_deleted_and_created_again_is_another_one(make_line: MakeLine) -> None:
    line = make_line(partitions=2, batch=50)
    line.send(message(number, number % 2) for number in range(40))
    with line.following() as followed:
        followed.wait_for(40)
        second = line.make_topic(1)
        assert second != line.topic_id
        line.send(message(number) for number in range(100, 130))
        followed.wait_for(70)
        assert TroubleKind.RECREATED in told(followed)
        third = line.make_topic(2)
        line.send(message(number, number % 2) for number in range(200, 260))
        followed.wait_for(130)
    assert len({line.topic_id, second, third}) == 3
    assert {key: (e.start, e.end, e.accepted) for key, e in line.equations().items()} == {
        (line.topic_id, 0): (0, 20, 20),
        (line.topic_id, 1): (0, 20, 20),
        (second, 0): (0, 30, 30),
        (third, 0): (0, 30, 30),
        (third, 1): (0, 30, 30),
    }
    for topic_id, numbers in (
        (line.topic_id, range(40)),
        (second, range(100, 130)),
        (third, range(200, 260)),
    ):
        expected = {str(impression(number)) for number in numbers}
        assert set(map(str, line.values(topic_id))) == expected


@pytest.mark.parametrize("instant", ["plan.done", "land.read"])
def test_a_topic_that_is_replaced_in_the_middle_of_a_batch_is_never_mixed(
    make_line: MakeLine, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    line = make_line(batch=10)
    line.send(message(number) for number in range(30))
    line.ingest()
    line.send(message(number) for number in range(30, 40))
    replaced: list[str] = []

    def at(reached: str) -> None:
        if reached == instant and not replaced:
            replaced.append(line.make_topic(1))
            line.send(message(number) for number in range(100, 160))

    with monkeypatch.context() as patch:
        patch.setattr(lane_module, "reach", at)
        line.ingest()
    line.ingest()
    (second,) = replaced
    landed = line.raw.filter(pl.col("gap_kind").is_null())
    for topic_id, most in ((line.topic_id, range(40)), (second, range(100, 160))):
        mine = landed.filter(pl.col("topic_id") == topic_id)["value"].to_list()
        assert set(mine) <= {impression(number) for number in most}
    assert line.values(second) == [impression(number) for number in range(100, 160)]
    assert line.equations()[second, 0].accepted == 60
