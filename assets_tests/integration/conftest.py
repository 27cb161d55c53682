"""Real servers for tests: each listens on 127.0.0.1, on a port that is free at that moment."""

from __future__ import annotations

import importlib.util
import os
import random
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from adx_platform.settings import KafkaSettings
from adx_platform.streams.embedded import EmbeddedBroker


def free_port() -> int:
    """A port that nobody listens on and that no outgoing connection will be given.

    A client that keeps trying to reach a stopped server on a port of the ephemeral range ends up
    connected to itself, and the server cannot come back.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("none of 100 ports between 20000 and 32000 is free")


@pytest.fixture(scope="session")
def broker_installed() -> None:
    if importlib.util.find_spec("noida_db") is None:
        pytest.skip("the embedded broker is not installed (extra `embedded`)")


@pytest.fixture
def own_broker(broker_installed: None, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker of the test's own, not yet started; for tests that stop it."""
    broker = EmbeddedBroker(tmp_path / "broker", free_port(), tmp_path / "broker.log")
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka(
    broker_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaSettings]:
    """A running broker that all tests share: use topics of your own (``topic_prefix``)."""
    folder = tmp_path_factory.mktemp("kafka")
    broker = EmbeddedBroker(folder / "broker", free_port(), folder / "broker.log")
    broker.start()
    yield KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    broker.stop()


@pytest.fixture
def topic_prefix() -> str:
    """Starts the names of this test's topics, so that no two tests meet in one."""
    return f"t{uuid.uuid4().hex[:12]}_"


@pytest.fixture(scope="session")
def unused_port() -> int:
    """A port for a broker that the test starts by the command line."""
    return free_port()


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """This process's environment without the platform's own variables."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ADX_", "DAGSTER_", "DBT_"))
    }
