"""Which rows of a batch repeat an event.

Belongs here: marks within one batch. Does not belong here: the authoritative rule across all time,
which is the warehouse's.
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.dispositions import Disposition


def mark_duplicates(rows: pl.DataFrame) -> pl.Series:
    """Dispositions after comparing the accepted rows of a batch with each other.

    Args:
        rows: ``disposition``, ``event_id``, ``payload_fingerprint``, ``kafka_timestamp``,
            ``partition``, ``offset``.

    Returns:
        String series, aligned with ``rows``. Of accepted rows with one event id the lowest
        (Kafka timestamp, partition, offset) stays accepted; the others become ``duplicate`` if
        their payload is the winner's, else ``conflict``.
    """
    accepted = pl.col("disposition") == Disposition.ACCEPTED
    # Only what is compared: a filter copies what it lets pass, and the rows have up to 71 columns.
    repeated = (
        rows.select(
            "disposition",
            "event_id",
            "payload_fingerprint",
            "kafka_timestamp",
            "partition",
            "offset",
        )
        .with_row_index("at")
        .filter(accepted & pl.col("event_id").is_not_null())
        .filter(pl.col("event_id").is_duplicated())
        .sort("event_id", "kafka_timestamp", "partition", "offset")
    )
    if repeated.is_empty():
        return rows["disposition"]
    same = pl.col("payload_fingerprint") == pl.col("payload_fingerprint").first().over("event_id")
    losers = repeated.with_columns(
        mark=pl.when(same)
        .then(pl.lit(str(Disposition.DUPLICATE)))
        .otherwise(pl.lit(str(Disposition.CONFLICT)))
    ).filter(~pl.col("event_id").is_first_distinct())
    return rows["disposition"].scatter(losers["at"], losers["mark"])
