"""The loop that one writes first: consume, decode, `pyarrow`, Parquet. No checks, no offsets."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assets_tests.bench.peers.decoding import Decoder
from assets_tests.bench.peers.job import Job
from assets_tests.bench.peers.kafka_source import batches

_BATCH = 50_000


def arrow_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Columns of all keys that occur, their types inferred.

    ``Table.from_pylist`` would take the columns from the first row and drop the others silently.

    Raises:
        pyarrow.ArrowException: two rows have different types for one key.
    """
    return pa.Table.from_struct_array(pa.array(rows))


def run(job: Job) -> None:
    """Read the topic and write a file of each table and batch."""
    decoder = Decoder(job)
    for number, batch in enumerate(batches(job, _BATCH)):
        for name, rows in decoder.rows(batch).items():
            folder = job.out / name
            folder.mkdir(exist_ok=True)
            pq.write_table(arrow_table(rows), folder / f"{number}.parquet", compression="zstd")
    decoder.write_refused(job.out)


if __name__ == "__main__":
    run(Job.of_command_line())
