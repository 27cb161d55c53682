"""A real Apache Kafka for tests: one broker or several, each also a controller (KRaft).

Belongs here: starting, killing and restarting brokers, and how to reach them. Does not belong here:
topics and messages, which tests make through the platform or librdkafka.

Every broker listens twice on 127.0.0.1: in plain text, and with TLS and SASL/SCRAM. Heaps are
small, a dead broker is noticed after three seconds, and everything is gone when the fixture ends.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from adx_platform.settings import KafkaSettings
from assets_tests.servers.java import JavaRuntime

POM = Path(__file__).with_name("apache_kafka") / "pom.xml"
USER = "adx-tests"
PASSWORD = "a test's own secret"

_HOST = "127.0.0.1"
_CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"
_STORE_PASSWORD = "changeit"
_READY_SECONDS = 90.0
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xss512k")
_LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required"
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")


class Ports(NamedTuple):
    """Where one broker listens."""

    plain: int
    secure: int
    controller: int


class ApacheKafka:
    """A cluster. Brokers are numbered from 1, as in Kafka's own metadata."""

    def __init__(
        self, runtime: JavaRuntime, folder: Path, ports: Sequence[Ports], *, heap: str = "256m"
    ) -> None:
        """Describe the cluster; nothing is started.

        Args:
            runtime: Java and the broker's jars.
            folder: for its data, keys and logs.
            ports: of each broker.
            heap: of each broker.
        """
        self._runtime = runtime
        self._folder = folder
        self._ports = dict(enumerate(ports, start=1))
        self._heap = heap
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.certificate = folder / "broker.pem"

    def start(self) -> None:
        """Format the folders, start all brokers, and wait until every one has joined."""
        self._folder.mkdir(parents=True, exist_ok=True)
        make_certificate(self._runtime, self._key_store, self.certificate)
        for node in self._ports:
            self._write_properties(node)
            self._format(node)
        for node in self._ports:
            self._spawn(node)
        self._wait_until_joined()

    def stop(self) -> None:
        """End all brokers. What they held is of no use to anybody."""
        for node in list(self._running):
            self.kill(node)

    def kill(self, node: int) -> None:
        """End a broker at once, without a chance to hand its partitions over."""
        process = self._running.pop(node)
        process.kill()
        process.wait()

    def restart_killed(self) -> None:
        """Start the brokers that were killed, and wait until they have joined."""
        for node in self._ports:
            if node not in self._running:
                self._spawn(node)
        self._wait_until_joined()

    def settings(self, **more: object) -> KafkaSettings:
        """The platform's settings for the plain listeners, with ``more`` of them."""
        servers = ",".join(f"{_HOST}:{ports.plain}" for ports in self._ports.values())
        return KafkaSettings.model_validate({"bootstrap_servers": servers} | more)

    def secure_settings(self, **more: object) -> KafkaSettings:
        """The platform's settings for TLS and SASL/SCRAM, with ``more`` of them."""
        servers = ",".join(f"{_HOST}:{ports.secure}" for ports in self._ports.values())
        return KafkaSettings.model_validate(
            {
                "bootstrap_servers": servers,
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_username": USER,
                "sasl_password": PASSWORD,
                "ssl_ca_location": self.certificate,
                **more,
            }
        )

    def client(self) -> AdminClient:
        """For what the platform itself never asks of a broker."""
        return AdminClient({"bootstrap.servers": self.settings().bootstrap_servers})

    def leader(self, topic: str, partition: int) -> int:
        """The broker that leads a partition now; -1 while there is none."""
        found = self.client().list_topics(topic, timeout=10).topics[topic]
        return int(found.partitions[partition].leader)

    def wait_until_in_sync(self, topic: str) -> None:
        """Wait until every broker has a full copy of every partition of ``topic``."""

        def is_in_sync() -> bool:
            found = self.client().list_topics(topic, timeout=10).topics[topic]
            return all(len(p.isrs) == len(self._ports) for p in found.partitions.values())

        self._wait(is_in_sync, f"topic {topic} is not in sync")

    @property
    def _key_store(self) -> Path:
        return self._folder / "broker.p12"

    def _log(self, node: int) -> Path:
        return self._folder / f"broker-{node}.log"

    def _properties(self, node: int) -> Path:
        return self._folder / f"broker-{node}.properties"

    def _write_properties(self, node: int) -> None:
        ports = self._ports[node]
        count = len(self._ports)
        listeners = f"PLAINTEXT://{_HOST}:{ports.plain},SASL_SSL://{_HOST}:{ports.secure}"
        voters = ",".join(f"{n}@{_HOST}:{p.controller}" for n, p in self._ports.items())
        options: Mapping[str, object] = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{listeners},CONTROLLER://{_HOST}:{ports.controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,"
            "CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": ",".join(_SCRAM),
            **{
                f"listener.name.sasl_ssl.{mechanism.lower()}.sasl.jaas.config": f"{_LOGIN};"
                for mechanism in _SCRAM
            },
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": self._key_store.as_posix(),
            "ssl.keystore.password": _STORE_PASSWORD,
            "log.dirs": (self._folder / f"data-{node}").as_posix(),
            "auto.create.topics.enable": "false",
            "default.replication.factor": count,
            "min.insync.replicas": min(2, count),
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": count,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": count,
            "transaction.state.log.min.isr": min(2, count),
            # A dead broker is noticed soon, so that tests of it are short.
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 3_000,
            "controller.quorum.election.timeout.ms": 500,
            "controller.quorum.fetch.timeout.ms": 1_000,
            "replica.lag.time.max.ms": 3_000,
            # Little memory and few threads; the cleaner's default buffer is half of the heap.
            "log.cleaner.dedupe.buffer.size": 4 * 1024 * 1024,
            "log.cleaner.backoff.ms": 200,
            "log.index.size.max.bytes": 1024 * 1024,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "num.partitions": 1,
        }
        text = "".join(f"{name}={value}\n" for name, value in options.items())
        self._properties(node).write_text(text, encoding="utf-8")

    def _java(self, heap: str, *arguments: str) -> list[str]:
        options = (f"-Xmx{heap}", *_JVM, _LOG_LEVEL, "-cp", self._runtime.class_path)
        return [self._runtime.java, *options, *arguments]

    def _format(self, node: int) -> None:
        users = [
            word
            for mechanism in _SCRAM
            for word in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
        ]
        options = ("format", "-t", _CLUSTER_ID, "-c", str(self._properties(node)), *users)
        subprocess.run(
            self._java("128m", "kafka.tools.StorageTool", *options),
            check=True,
            capture_output=True,
            timeout=_READY_SECONDS,
        )

    def _spawn(self, node: int) -> None:
        with self._log(node).open("ab") as log:
            self._running[node] = subprocess.Popen(
                self._java(self._heap, "kafka.Kafka", str(self._properties(node))),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait_until_joined(self) -> None:
        # Refused connections are expected here, and librdkafka would print each of them.
        quiet = {"log_level": 0, "error_cb": lambda _: None, "reconnect.backoff.max.ms": 200}
        client = AdminClient({"bootstrap.servers": self.settings().bootstrap_servers} | quiet)

        def have_joined() -> bool:
            try:
                described = client.describe_cluster(request_timeout=5).result(timeout=10)
            except (KafkaException, TimeoutError):
                return False
            return {node.id for node in described.nodes} == set(self._running)

        self._wait(have_joined, "the brokers do not answer")

    def _wait(self, what: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not what():
            for node, process in self._running.items():
                if process.poll() is not None:
                    raise AssertionError(f"broker {node} ended: {self._tail(node)}")
            if time.monotonic() > deadline:
                said = "; ".join(f"broker {node}: {self._tail(node)}" for node in self._running)
                raise AssertionError(f"{otherwise} after {_READY_SECONDS:g} s: {said}")
            time.sleep(0.1)

    def _tail(self, node: int) -> str:
        return self._log(node).read_text(encoding="utf-8", errors="replace")[-2_000:]


def make_certificate(runtime: JavaRuntime, store: Path, certificate: Path) -> None:
    """A key with a certificate of its own for 127.0.0.1: ``store`` (PKCS12) and PEM."""
    shared = ["-alias", "broker", "-keystore", str(store), "-storepass", _STORE_PASSWORD]
    made = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "30", "-storetype", "PKCS12"]
    name = ["-dname", "CN=adx-tests", "-ext", f"san=ip:{_HOST}"]
    exported = ["-rfc", "-file", str(certificate)]
    for command in (["-genkeypair", *made, *name], ["-exportcert", *exported]):
        subprocess.run(
            [runtime.keytool, *command, *shared],
            check=True,
            capture_output=True,
            timeout=_READY_SECONDS,
        )
