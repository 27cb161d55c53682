"""The files of a run: what is sent, and the truth about it.

Belongs here: file names and layouts. Does not belong here: deriving verdicts (``message_log``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import polars as pl

from adx_platform.contracts.dispositions import Disposition
from adx_platform.simulate.config import MarketConfig, SimulationReport
from adx_platform.simulate.events import TOPICS, TRUTH_COLUMNS
from adx_platform.simulate.message_log import MessageLog, topic_counts

TRUTH_FILES = {
    "bid_request": "bid_requests",
    "bid_response": "bid_responses",
    "bid_notice": "bid_notices",
    "ad_impression": "ad_impressions",
    "click": "clicks",
    "conversion": "conversions",
}
WIRE_COLUMNS = ("partition", "sequence", "timestamp_ms", "key", "value", "headers")
MESSAGE_COLUMNS = (
    "topic",
    "partition",
    "sequence",
    "timestamp_ms",
    "record_type",
    "event_id",
    "event_time",
    "fault",
    "expected_disposition",
    "expected_reason_code",
    "is_late",
)
_WHERE = (
    "event_id",
    "event_time",
    "partition",
    "sequence",
    "timestamp_ms",
    "is_late",
)


def write_wire(messages: pl.DataFrame, folder: Path) -> None:
    """Write ``<topic>.parquet``: the messages of each topic in send order."""
    folder.mkdir(parents=True, exist_ok=True)
    for topic in TOPICS:
        messages.filter(pl.col("topic") == topic).select(WIRE_COLUMNS).write_parquet(
            folder / f"{topic}.parquet", compression_level=3
        )


def write_truth(
    config: MarketConfig, log: MessageLog, messages: pl.DataFrame, out_dir: Path
) -> SimulationReport:
    """Write ``messages.parquet``, one file per record type, and ``summary.json``."""
    folder = out_dir / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    messages.select(MESSAGE_COLUMNS).write_parquet(folder / "messages.parquet")
    accepted = messages.filter(pl.col("expected_disposition") == Disposition.ACCEPTED.value)
    for record_type, name in TRUTH_FILES.items():
        winners = accepted.filter(pl.col("record_type") == record_type)
        winners.select(*_WHERE, pl.col("content").cast(pl.UInt32)).join(
            log.content_frame(record_type), on="content", how="left", maintain_order="left"
        ).select(*_WHERE, *TRUTH_COLUMNS[record_type]).sort("event_time", "event_id").write_parquet(
            folder / f"{name}.parquet"
        )
    report = _report(messages, out_dir)
    summary = {
        "seed": config.seed,
        "events": config.events,
        "start": config.start.isoformat(),
        "days": config.days,
        "partitions_per_topic": config.partitions_per_topic,
        **{name: value for name, value in asdict(report).items() if name != "out_dir"},
    }
    (folder / "summary.json").write_text(
        json.dumps(summary, indent=2) + "\n", encoding="utf-8", newline="\n"
    )
    return report


def _report(messages: pl.DataFrame, out_dir: Path) -> SimulationReport:
    kept = messages.filter(pl.col("expected_disposition") != Disposition.REJECTED.value)
    return SimulationReport(
        out_dir=out_dir,
        messages=topic_counts(messages),
        record_types=_counts(messages, "record_type"),
        dispositions=_counts(messages, "expected_disposition"),
        reasons=_counts(messages, "expected_reason_code"),
        faults=_counts(messages, "fault"),
        late=int(kept["is_late"].sum()),
    )


def _counts(messages: pl.DataFrame, column: str) -> dict[str, int]:
    counted = messages.drop_nulls(column).group_by(column).len().sort(column)
    return dict(counted.iter_rows())
