"""The ceiling: librdkafka hands over all messages, and they are dropped."""

from __future__ import annotations

from assets_tests.bench.peers.job import Job
from assets_tests.bench.peers.kafka_source import batches


def run(job: Job) -> None:
    """Read the topic."""
    for _ in batches(job, 1):
        pass


if __name__ == "__main__":
    run(Job.of_command_line())
