from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from adx_platform.settings import KafkaSettings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import BrokerUnreachable


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


def test_nothing_to_do_needs_no_broker(nobody: KafkaSettings) -> None:
    with KafkaAdmin(nobody) as admin:
        assert admin.create_topics([]) == ()
        admin.delete_topics([])
        admin.commit_group_offsets("g", "t", {})
