"""One of several processes that land ranges of the same lane at once; see ``test_lake_s3``.

Plans and commits until it was given as many attempts as asked for, then prints how many succeeded.
Its rows carry its process id. A store that fails costs it an attempt.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

import polars as pl

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.errors import LakeUnavailable, RangeAlreadyCommitted
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.storage import LakeStorage
from adx_platform.settings import load_settings

TOPIC_ID = "raced"
ROWS = 20


def frame(start: int) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "topic_id": [TOPIC_ID] * ROWS,
            "partition": [0] * ROWS,
            "offset": range(start, start + ROWS),
            "kafka_timestamp": [datetime(2026, 3, 2, tzinfo=UTC)] * ROWS,
            "value": [b"%d" % os.getpid()] * ROWS,
        },
        schema_overrides=RAW_SCHEMA,
    )
    missing = [pl.lit(None, RAW_SCHEMA[n]).alias(n) for n in RAW_SCHEMA if n not in rows.columns]
    return rows.with_columns(missing).select(RAW_SCHEMA.names())


def main(topic: str, attempts: int) -> None:
    storage = LakeStorage.from_settings(load_settings())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    successes = 0
    for _ in range(attempts):
        try:
            handle = LandingHandle.open(storage, topic)
            start = handle.committed(TOPIC_ID, 0) or 0
            handle.commit(frame(start), TOPIC_ID, [OffsetRange(0, start, start + ROWS)])
        except (LakeUnavailable, RangeAlreadyCommitted):
            continue
        successes += 1
    sys.stdout.write(f"{successes}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
