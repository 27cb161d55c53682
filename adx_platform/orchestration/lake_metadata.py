"""What a materialisation of the lake says, however it came about: by a run or by the loop.

Belongs here: adding up batches, and their metadata for the landing and for the events. Does not
belong here: reporting it (``assets_lake``, ``follow``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import dagster as dg

from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.contracts.streams import Stream
from adx_platform.orchestration import keys
from adx_platform.pipeline.follow_state import Latency, weighted_quantile
from adx_platform.pipeline.reports import MOST_NOTED, BatchReport
from adx_platform.settings import Settings

Metadata = dict[str, dg.MetadataValue | str | int | float]


@dataclass
class BatchTotals:
    """Batches of one lane added up; its size does not grow with their number.

    Attributes:
        topic_ids: identities of the topic.
        ranges: what the batches cover, adjoining ranges as one, by identity.
        raw_version: newest version of the landing.
        events_version: newest version of the events.
        counts: offsets by disposition.
        reasons: rejected rows by reason code.
        late: late rows.
        noted: what differs from the contract and was let pass; the first twenty.
        batches: how many there were.
        seconds: their time together.
        latencies: (seconds, offsets) for the quantiles, where latency was measured.
        clock: what the latency counts from.
    """

    topic_ids: set[str] = field(default_factory=set)
    ranges: dict[str, list[OffsetRange]] = field(default_factory=dict)
    raw_version: int = -1
    events_version: int = -1
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    late: int = 0
    noted: set[str] = field(default_factory=set)
    batches: int = 0
    seconds: float = 0.0
    latencies: Counter[float] = field(default_factory=Counter)
    clock: str | None = None

    @classmethod
    def of(cls, reports: Iterable[BatchReport]) -> BatchTotals:
        """The totals of ``reports``."""
        totals = cls()
        for report in reports:
            totals.add(report)
        return totals

    @property
    def offsets(self) -> int:
        """Offsets that the batches cover."""
        return sum(part.count for parts in self.ranges.values() for part in parts)

    def add(self, report: BatchReport, latency: Latency | None = None) -> None:
        """Count one more batch."""
        self._add_ranges(report.topic_id, report.ranges)
        self.raw_version = max(self.raw_version, report.raw_version)
        self.events_version = max(self.events_version, report.events_version)
        self.counts.update(report.counts)
        self.reasons.update(report.reasons)
        self.late += report.late
        self._note(report.noted)
        self.batches += 1
        self.seconds += report.seconds
        if latency is not None:
            offsets = sum(part.count for part in report.ranges)
            tail = max(1, offsets // 10)
            # Rounded, so that a long catch-up has no more than so many different values.
            self.latencies[round(latency.p50, 1)] += max(1, offsets - tail)
            self.latencies[round(latency.p95, 1)] += tail
            self.clock = latency.clock

    def merge(self, other: BatchTotals) -> None:
        """Add what ``other`` holds."""
        for topic_id, parts in other.ranges.items():
            self._add_ranges(topic_id, parts)
        self.raw_version = max(self.raw_version, other.raw_version)
        self.events_version = max(self.events_version, other.events_version)
        self.counts.update(other.counts)
        self.reasons.update(other.reasons)
        self.late += other.late
        self._note(sorted(other.noted))
        self.batches += other.batches
        self.seconds += other.seconds
        self.latencies.update(other.latencies)
        self.clock = self.clock or other.clock

    def _note(self, names: Iterable[str]) -> None:
        room = MOST_NOTED - len(self.noted)
        self.noted.update([name for name in names if name not in self.noted][:room])

    def _add_ranges(self, topic_id: str, parts: Iterable[OffsetRange]) -> None:
        self.topic_ids.add(topic_id)
        known = self.ranges.get(topic_id, [])
        self.ranges[topic_id] = list(merge_ranges([*known, *parts]))


def layer_metadata(settings: Settings, stream: Stream, layer: str, totals: BatchTotals) -> Metadata:
    """Metadata of a materialisation of ``lake/<layer>/<stream>``.

    Args:
        settings: the platform's.
        stream: the stream.
        layer: ``raw`` or ``events``.
        totals: what was committed; may be empty.
    """
    found: Metadata = {
        "topic_id": ", ".join(sorted(totals.topic_ids)),
        "offset_ranges": dg.JsonMetadataValue(
            [
                {"partition": part.partition, "start": part.start, "end": part.end}
                for _, parts in sorted(totals.ranges.items())
                for part in parts
            ]
        ),
        "batches": totals.batches,
        "seconds": totals.seconds,
        "dagster/row_count": totals.offsets,
        "dagster/uri": f"{settings.lake_uri}/{layer}/{stream.topic}",
    }
    version = layer_version(layer, totals)
    if version is not None:
        found["lake_version"] = version
    if layer == "events":
        found["dispositions"] = dg.JsonMetadataValue(dict(totals.counts))
        found["reasons"] = dg.JsonMetadataValue(dict(totals.reasons))
        found["late"] = totals.late
        if totals.noted:
            found["noted"] = dg.JsonMetadataValue(sorted(totals.noted))
    half, most = (weighted_quantile(totals.latencies.items(), share) for share in (0.5, 0.95))
    if half is not None and most is not None and totals.clock is not None:
        found["latency_p50_seconds"] = half
        found["latency_p95_seconds"] = most
        found["latency_since"] = totals.clock
    return found


def layer_version(layer: str, totals: BatchTotals) -> int | None:
    """Lake version of the newest commit to ``layer``; ``None`` if there was none."""
    version = totals.raw_version if layer == "raw" else totals.events_version
    return version if version >= 0 else None


LAYERS = {"raw": keys.raw_key, "events": keys.events_key}
"""The two layers of the lake, and how their assets are named."""
