"""One real Apache Kafka for all contenders, as the integration tests start it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adx_platform.settings import KafkaSettings
from assets_tests.servers.java import java_runtime
from assets_tests.servers.kafka import POM, ApacheKafka, Ports
from assets_tests.servers.ports import free_port


@contextmanager
def running_broker(partitions: int) -> Iterator[KafkaSettings]:
    """A broker on 127.0.0.1, gone afterwards.

    Raises:
        JavaMissingError: Java, Maven or the broker's jars are not to be had.
    """
    with tempfile.TemporaryDirectory(prefix="adx-peers-kafka-") as folder:
        ports = Ports(free_port(), free_port(), free_port())
        kafka = ApacheKafka(java_runtime(POM, Path(folder)), Path(folder), [ports], heap="512m")
        try:
            kafka.start()
            yield kafka.settings(partitions_per_topic=partitions)
        finally:
            kafka.stop()
