"""Event time against the broker's time: late, too old, in the future.

Belongs here: the judgement of one event by its own Kafka timestamp. Does not belong here: the wall
clock; refining the same row next year must give the same answer.
"""

from __future__ import annotations

import polars as pl

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.settings import RefineSettings


def judge_times(frame: pl.DataFrame, rules: RefineSettings) -> pl.DataFrame:
    """Add ``is_late``, ``lateness_seconds`` and the time faults.

    Args:
        frame: with ``event_time`` and ``kafka_timestamp`` (microseconds, UTC).
        rules: the bounds.

    Returns:
        The frame with ``is_late``, ``lateness_seconds`` (whole seconds, not below 0), ``time_code``
        and ``time_reason`` (null where the time is within bounds). An event time outside of the
        bounds becomes null: it would only scatter rejects over ages of partitions.
    """
    event, broker = pl.col("event_time"), pl.col("kafka_timestamp")
    # Bounds are moved instead of taking a difference: event_time may be any 64-bit number.
    too_old = (event < broker - rules.oldest_accepted).fill_null(value=False)
    in_future = (event > broker + rules.future_tolerance).fill_null(value=False)
    code = (
        pl.when(too_old)
        .then(pl.lit(str(ReasonCode.EVENT_TOO_OLD)))
        .when(in_future)
        .then(pl.lit(str(ReasonCode.EVENT_IN_FUTURE)))
    )
    reason = (
        pl.when(too_old)
        .then(pl.lit(f"event time: more than {rules.oldest_accepted} before the broker's time"))
        .when(in_future)
        .then(pl.lit(f"event time: more than {rules.future_tolerance} after the broker's time"))
    )
    lateness = broker - event
    return (
        frame.with_columns(time_code=code, time_reason=reason)
        .with_columns(event_time=pl.when(pl.col("time_code").is_null()).then(event))
        .with_columns(
            is_late=lateness > rules.late_after,
            lateness_seconds=lateness.dt.total_seconds().clip(lower_bound=0),
        )
    )
