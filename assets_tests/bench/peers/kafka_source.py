"""Messages of a topic in batches, by librdkafka's Python client as its documentation shows it."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from assets_tests.bench.peers.job import Job

_AT_ONCE = 10_000
_PATIENCE_SECONDS = 30.0


def batches(job: Job, size: int) -> Iterator[list[Message]]:
    """All messages of the job, at least ``size`` at a time, except for the last.

    Raises:
        RuntimeError: the broker says nothing for half a minute.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": job.servers,
            "group.id": "adx-bench-peer",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(job.topic, partition, 0) for partition in job.ends])
    left = job.messages
    batch: list[Message] = []
    while left:
        got = consumer.consume(min(_AT_ONCE, left), timeout=_PATIENCE_SECONDS)
        if not got:
            raise RuntimeError(f"{left} messages of {job.topic} did not come")
        for message in got:
            if message.error() is not None:
                raise KafkaException(message.error())
        left -= len(got)
        batch += got
        if len(batch) >= size or not left:
            yield batch
            batch = []
    consumer.close()
