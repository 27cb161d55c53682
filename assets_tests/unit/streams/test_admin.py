from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
    Uuid,
)
from confluent_kafka.admin import OffsetSpec

from adx_platform.settings import KafkaSettings
from adx_platform.streams import admin as admin_module
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import BrokerUnreachable, UnknownTopic
from adx_platform.streams.topics import Watermarks


@pytest.fixture
def nobody() -> KafkaSettings:
    """The address of a port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_seconds=0.4)


@pytest.mark.parametrize(
    "ask",
    [
        lambda admin: admin.topics(),
        lambda admin: admin.describe("t"),
        lambda admin: admin.watermarks("t"),
        lambda admin: admin.create_topics(["t"]),
        lambda admin: admin.delete_topics(["t"]),
        lambda admin: admin.commit_group_offsets("g", "t", {0: 1}),
    ],
    ids=["topics", "describe", "watermarks", "create", "delete", "group"],
)
def test_an_absent_broker_is_reported_with_its_address_and_cause(
    nobody: KafkaSettings, ask: Callable[[KafkaAdmin], object]
) -> None:
    with KafkaAdmin(nobody) as admin, pytest.raises(BrokerUnreachable) as caught:
        ask(admin)
    assert nobody.bootstrap_servers in str(caught.value)
    assert "refused" in str(caught.value).lower()
    assert "adx up" in str(caught.value)


class FakeCluster:
    """Clients of it answer only if they were made after the first ``deaf`` ones.

    The first ``unaware`` descriptions come from a broker that has not heard of the topic yet.
    """

    def __init__(self, deaf: int, problem: KafkaError | None = None, *, unaware: int = 0) -> None:
        self.deaf = deaf
        self.problem = problem
        self.unaware = unaware
        self.clients = 0

    def __call__(self, options: dict[str, Any]) -> FakeClient:
        self.clients += 1
        return FakeClient(self, answers=self.clients > self.deaf)


class FakeClient:
    def __init__(self, cluster: FakeCluster, *, answers: bool) -> None:
        self.cluster = cluster
        self.answers = answers

    def poll(self, timeout: float) -> int:
        return 0

    def describe_topics(self, topics: TopicCollection) -> dict[str, Future[Any]]:
        if self.cluster.unaware:
            self.cluster.unaware -= 1
            unknown: Future[Any] = Future()
            unknown.set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
            return {"t": unknown}
        return {"t": self._future(SimpleNamespace(topic_id=Uuid(1, 2), partitions=PARTITIONS))}

    def list_offsets(
        self, asked: dict[TopicPartition, OffsetSpec], **_: object
    ) -> dict[TopicPartition, Future[Any]]:
        return {p: self._future(SimpleNamespace(offset=7)) for p in asked}

    def _future(self, result: object) -> Future[Any]:
        future: Future[Any] = Future()
        if self.answers:
            future.set_result(result)
        elif self.cluster.problem is not None:
            future.set_exception(KafkaException(self.cluster.problem))
        return future


PARTITIONS = [SimpleNamespace(id=0)]
IMPATIENT = KafkaSettings(bootstrap_servers="127.0.0.1:1", request_timeout_seconds=30)


@pytest.mark.parametrize("problem", [None, KafkaError(KafkaError._TRANSPORT)])
def test_a_client_that_waits_for_a_dead_broker_is_replaced(
    monkeypatch: pytest.MonkeyPatch, problem: KafkaError | None
) -> None:
    cluster = FakeCluster(2, problem)
    monkeypatch.setattr(admin_module, "AdminClient", cluster)
    monkeypatch.setattr(admin_module, "_FIRST_TRY_SECONDS", 0.01)
    with KafkaAdmin(IMPATIENT) as admin:
        assert admin.watermarks("t") == {0: Watermarks(7, 7)}
        assert admin.look(["t"])["t"].watermarks == {0: Watermarks(7, 7)}
    assert cluster.clients == 3


def test_a_topic_that_a_broker_has_not_heard_of_yet_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = FakeCluster(0, unaware=2)
    monkeypatch.setattr(admin_module, "AdminClient", cluster)
    with KafkaAdmin(IMPATIENT) as admin:
        assert admin.describe("t").partitions == (0,)
    assert cluster.unaware == 0


def test_a_topic_that_no_broker_hears_of_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_module, "AdminClient", FakeCluster(0, unaware=1_000))
    monkeypatch.setattr(admin_module, "_TOPIC_SPREADS_SECONDS", 0.2)
    with KafkaAdmin(IMPATIENT) as admin, pytest.raises(UnknownTopic, match="'t' does not exist"):
        admin.describe("t")


def test_tries_end_with_the_time_and_leave_a_fresh_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As in the resident loop, whose time-out is that of one try.
    cluster = FakeCluster(1)
    monkeypatch.setattr(admin_module, "AdminClient", cluster)
    impatient = IMPATIENT.model_copy(update={"request_timeout_seconds": 0.05})
    with KafkaAdmin(impatient) as admin:
        with pytest.raises(BrokerUnreachable):
            admin.look(["t"])
        assert list(admin.look(["t"])) == ["t"]
    assert cluster.clients == 2


def test_nothing_to_do_needs_no_broker(nobody: KafkaSettings) -> None:
    with KafkaAdmin(nobody) as admin:
        assert admin.create_topics([]) == ()
        admin.delete_topics([])
        admin.commit_group_offsets("g", "t", {})
