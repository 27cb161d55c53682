"""dlt: a resource that consumes, to Parquet on the local filesystem.

dlt's own Kafka source is not in its package: this is the shortest one. With `arrow` as the second
argument it yields Arrow tables, which dlt takes as they are; else dictionaries, which it
normalises.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import dlt

from assets_tests.bench.peers.decoding import Decoder
from assets_tests.bench.peers.job import Job
from assets_tests.bench.peers.kafka_source import batches
from assets_tests.bench.peers.plain_loop import arrow_table

_ROWS = 10_000
_TABLE_ROWS = 50_000


def run(job: Job, *, as_arrow: bool) -> None:
    """Extract, normalise and load everything."""
    decoder = Decoder(job)

    @dlt.resource(max_table_nesting=0, write_disposition="append")
    def messages() -> Iterator[Any]:
        for batch in batches(job, _TABLE_ROWS if as_arrow else _ROWS):
            for name, rows in decoder.rows(batch).items():
                yield dlt.mark.with_table_name(arrow_table(rows) if as_arrow else rows, name)

    pipeline = dlt.pipeline(
        pipeline_name="peer",
        pipelines_dir=str(job.out / "working"),
        destination=dlt.destinations.filesystem(bucket_url=(job.out / "stored").as_uri()),
        dataset_name="events",
    )
    pipeline.run(messages(), loader_file_format="parquet").raise_on_failed_jobs()
    decoder.write_refused(job.out)


if __name__ == "__main__":
    run(Job.of_command_line(), as_arrow=sys.argv[2:] == ["arrow"])
