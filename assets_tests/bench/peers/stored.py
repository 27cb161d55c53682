"""What became of the messages, counted from the files that a contender left behind.

Belongs here: reading each contender's output. Does not belong here: a judgement of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from adx_platform.contracts.dispositions import Disposition
from assets_tests.bench.peers.job import REFUSED, Job

_CORRUPT = "_corrupt_record"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is to be found of the messages of a job.

    Attributes:
        rows: decoded (or, by a landing, undecoded) rows.
        duplicates: of these, marked as such.
        refused: kept or counted as unusable.
        parquet_bytes: of all Parquet files.
    """

    rows: int
    duplicates: int
    refused: int
    parquet_bytes: int

    def lost(self, messages: int) -> int:
        """Messages of which nothing is to be found."""
        return messages - self.rows - self.refused


def nothing(job: Job) -> Stored:
    """Of a contender that stores nothing."""
    return Stored(job.messages, 0, 0, 0)


def landed(job: Job) -> Stored:
    """The raw table's rows."""
    table = pl.scan_delta(str(job.out / "raw" / job.stream))
    rows = int(table.filter(pl.col("gap_kind").is_null()).select(pl.len()).collect().item())
    return Stored(rows, 0, 0, _bytes(job.out.rglob("*.parquet")))


def ingested(job: Job) -> Stored:
    """The events table's rows by disposition."""
    table = pl.scan_delta(str(job.out / "events" / job.stream))
    found = table.group_by("disposition").len().collect()
    counts = dict(found.iter_rows())
    refused = counts.pop(Disposition.REJECTED.value, 0)
    duplicates = sum(
        counts.get(one.value, 0) for one in (Disposition.DUPLICATE, Disposition.CONFLICT)
    )
    rows = sum(counts.values())
    return Stored(rows, duplicates, refused, _bytes(job.out.rglob("*.parquet")))


def by_spark(job: Job) -> Stored:
    """Rows of the one sink; refused are those without any value, and those marked corrupt."""
    files = sorted((job.out / "stored").glob("*.parquet"))
    frame = pl.scan_parquet(files)
    columns = frame.collect_schema().names()
    if job.wire == "avro":
        ids = [pl.col(name).struct.field("event_id").is_null() for name in columns]
        is_refused = pl.all_horizontal(ids)
    else:
        others = [pl.col(name).is_null() for name in columns if name != _CORRUPT]
        is_refused = pl.all_horizontal(others)
        if _CORRUPT in columns:
            is_refused |= pl.col(_CORRUPT).is_not_null()
    rows, refused = frame.select(pl.len(), is_refused.sum().alias("refused")).collect().row(0)
    return Stored(rows - refused, 0, refused, _bytes(files))


def by_dlt(job: Job) -> Stored:
    """Rows of all tables but dlt's own; what could not be decoded was counted."""
    stored = job.out / "stored" / "events"
    files = [p for p in stored.rglob("*.parquet") if not p.parent.name.startswith("_dlt")]
    return _counted(job, files)


def by_plain_loop(job: Job) -> Stored:
    """Rows of all files; what could not be decoded was counted."""
    return _counted(job, list(job.out.rglob("*.parquet")))


def _counted(job: Job, files: list[Path]) -> Stored:
    rows = sum(pq.ParquetFile(path).metadata.num_rows for path in files)
    refused = int((job.out / REFUSED).read_text(encoding="ascii"))
    return Stored(rows, 0, refused, _bytes(files))


def _bytes(files: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in files)
