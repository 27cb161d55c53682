"""The conservation equation, recounted from stored rows.

Belongs here: the pure recount of one layer (raw landing, refined events, warehouse) and the
comparison between layers. Does not belong here: fetching the rows (``stored_rows``).

For every topic and Kafka partition, over every committed range::

    end - start = accepted + rejected + duplicate + conflict + absent + lost

Rows are counted as they are stored, never from counters that the writers kept. One missing and one
doubled row would cancel in the sum, so both are also searched for by position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import polars as pl

from adx_platform.contracts.dispositions import GAP_DISPOSITIONS, Disposition

Layer = Literal["raw", "events", "warehouse", "marts"]
Verdict = Literal["holds", "broken"]
PartitionKey: TypeAlias = tuple[str, int]
"""(topic_id, partition)."""

LANDED = "landed"
"""Term of a raw message: its disposition is not decided in that layer."""

EXPIRED = "expired"
"""Term of an offset whose row is past retention. Raw: the refined row is kept, and a repair found
that nobody has the bytes any more, and said so in its journal. Warehouse: a run of
``control.expired_offsets`` stands for it."""

TERMS: tuple[str, ...] = (LANDED, *(disposition.value for disposition in Disposition), EXPIRED)

STORED_ROWS_SCHEMA = pl.Schema(
    {
        "topic_id": pl.String,
        "partition": pl.Int32,
        "offset": pl.Int64,
        "gap_length": pl.Int64,
        "term": pl.String,
    }
)
"""What a recount reads: one row per stored row; ``term`` is one of :data:`TERMS`."""


@dataclass(frozen=True, slots=True)
class OffsetEquation:
    """The equation of one topic partition in one layer.

    Attributes:
        start: first offset that the layer should hold.
        end: the committed next offset.
        missing: offsets in [start, end) that no row covers.
        doubled: offsets in [start, end) covered more than once, counted per surplus row.
        outside: offsets stored before ``start`` or at and after ``end``.
        findings: sentences about damage that the terms do not show.
    """

    layer: Layer
    stream: str
    topic_id: str
    partition: int
    start: int
    end: int
    landed: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0
    conflict: int = 0
    absent: int = 0
    lost: int = 0
    expired: int = 0
    missing: int = 0
    doubled: int = 0
    outside: int = 0
    first_missing: int | None = None
    first_doubled: int | None = None
    findings: tuple[str, ...] = field(default=())

    @property
    def counted(self) -> int:
        """Offsets that the stored rows stand for: the right side of the equation."""
        return sum(int(getattr(self, term)) for term in TERMS)

    @property
    def difference(self) -> int:
        """``end - start`` minus what was counted; positive: too few rows."""
        return self.end - self.start - self.counted

    @property
    def verdict(self) -> Verdict:
        """``holds`` only if the sum fits and every offset is covered exactly once."""
        damaged = self.missing or self.doubled or self.outside or self.difference or self.findings
        return "broken" if damaged else "holds"

    def explain(self) -> str:
        """One line for a person: the equation with its figures, and where the damage begins."""
        terms = " + ".join(
            f"{term} {getattr(self, term):,}" for term in TERMS if _shown(self, term)
        )
        line = (
            f"{self.layer}/{self.stream} partition {self.partition} of {self.topic_id}: "
            f"{self.end:,} - {self.start:,} = {self.end - self.start:,} offsets; "
            f"stored: {terms} = {self.counted:,}: {self.verdict}"
        )
        notes = list(self.findings)
        if self.missing:
            notes.append(f"{self.missing:,} missing, the first at offset {self.first_missing}")
        if self.doubled:
            notes.append(f"{self.doubled:,} doubled, the first at offset {self.first_doubled}")
        if self.outside:
            notes.append(f"{self.outside:,} outside the committed range")
        return f"{line} ({'; '.join(notes)})" if notes else line


def recount(
    rows: pl.DataFrame,
    committed: Mapping[PartitionKey, int],
    *,
    layer: Layer,
    stream: str,
    starts: Mapping[PartitionKey, int] | None = None,
    since: Mapping[PartitionKey, int] | None = None,
) -> tuple[OffsetEquation, ...]:
    """Recount every partition of one layer from its stored rows.

    Args:
        rows: stored rows in :data:`STORED_ROWS_SCHEMA`, in any order.
        committed: next offset per partition, as the layer committed it with its rows.
        layer: which layer is counted; raw may have shed its oldest rows by retention.
        stream: name of the stream, for the result.
        starts: first offset of a partition where a source other than the rows knows it;
            otherwise the first stored offset counts as the start.
        since: count only offsets from here on, for a partition that is known to begin before; a
            gap row across it is clipped, not damage.

    Returns:
        One equation per partition that has rows or a committed offset, ordered by topic id and
        partition.
    """
    starts, since = starts or {}, since or {}
    groups = {
        (str(topic_id), int(str(partition))): group
        for (topic_id, partition), group in rows.group_by("topic_id", "partition")
    }
    empty = pl.DataFrame(schema=STORED_ROWS_SCHEMA)
    return tuple(
        _equation(
            groups.get(key, empty),
            key,
            layer=layer,
            stream=stream,
            end=committed.get(key),
            start=starts.get(key),
            since=since.get(key),
        )
        for key in sorted(groups.keys() | committed.keys())
    )


def compare_layers(
    upper: Sequence[OffsetEquation], lower: Sequence[OffsetEquation]
) -> tuple[str, ...]:
    """Damage that no layer shows alone: a lower layer that is behind the one it feeds.

    Args:
        upper: equations of the fed layer (events, warehouse), read first.
        lower: equations of the feeding layer (raw, events), read after ``upper``.

    Returns:
        One sentence per finding. The feeding layer may have begun later (retention) and be ahead,
        never the other way round.
    """
    feeding = {(equation.topic_id, equation.partition): equation for equation in lower}
    findings: list[str] = []
    for fed in upper:
        source = feeding.get((fed.topic_id, fed.partition))
        name = f"{fed.stream} partition {fed.partition} of {fed.topic_id}"
        if source is None:
            if fed.end > fed.start:
                findings.append(
                    f"{name}: {fed.layer} has rows, the layer below knows nothing of it"
                )
            continue
        if fed.end > source.end:
            findings.append(
                f"{name}: {fed.layer} is committed to offset {fed.end}, "
                f"{source.layer} only to {source.end}"
            )
        if fed.start > source.start:
            findings.append(
                f"{name}: {fed.layer} begins at offset {fed.start}, {source.layer} at "
                f"{source.start}: its first rows are missing"
            )
    return tuple(findings)


def _shown(equation: OffsetEquation, term: str) -> bool:
    if term == LANDED:
        return equation.layer == "raw"
    if term == EXPIRED:
        return equation.expired > 0
    return equation.layer != "raw" or term in GAP_DISPOSITIONS


def _equation(
    rows: pl.DataFrame,
    key: PartitionKey,
    *,
    layer: Layer,
    stream: str,
    end: int | None,
    start: int | None,
    since: int | None,
) -> OffsetEquation:
    topic_id, partition = key
    spans = rows.select(
        "term", "offset", stop=pl.col("offset") + pl.col("gap_length").fill_null(1)
    ).sort("offset", "stop")
    findings: list[str] = []
    malformed = spans.filter(pl.col("stop") <= pl.col("offset")).height
    if malformed:
        findings.append(f"{malformed:,} gap rows whose length is not positive")
    unknown = spans.filter(~pl.col("term").is_in(TERMS)).height
    if unknown:
        findings.append(f"{unknown:,} rows with an unknown disposition")
    if end is None:
        findings.append("rows are stored without a committed offset")
    if since is not None:
        spans = spans.filter(pl.col("stop") > since).with_columns(
            pl.col("offset").clip(lower_bound=since)
        )
    start, end = _bounds(spans, layer=layer, end=end, start=start, since=since)
    inside = spans.with_columns(
        pl.col("offset").clip(start, max(start, end)), pl.col("stop").clip(start, max(start, end))
    ).filter(pl.col("stop") > pl.col("offset"))
    covered = _positions(inside, start, end)
    lengths = (pl.col("stop") - pl.col("offset")).sum().alias("length")
    terms = dict(spans.group_by("term").agg(lengths).iter_rows())
    total, kept = (int(frame.select(lengths).item()) for frame in (spans, inside))
    return OffsetEquation(
        layer=layer,
        stream=stream,
        topic_id=topic_id,
        partition=partition,
        start=start,
        end=end,
        outside=total - kept,
        findings=tuple(findings),
        **{term: int(terms.get(term, 0)) for term in TERMS},
        missing=covered.missing,
        doubled=covered.doubled,
        first_missing=covered.first_missing,
        first_doubled=covered.first_doubled,
    )


def _bounds(
    spans: pl.DataFrame, *, layer: Layer, end: int | None, start: int | None, since: int | None
) -> tuple[int, int]:
    """The range the rows are held against: from what is known of it, else from the rows."""
    first = None if spans.is_empty() else int(spans["offset"][0])
    if end is None:
        end = first if first is not None else 0
    if since is not None:
        return min(since, end), end
    if start is None:
        # A raw partition without rows has shed them by retention; elsewhere nothing is ever shed.
        fallback = end if layer == "raw" else 0
        start = first if first is not None else fallback
    return min(start, end), end


class _Coverage(NamedTuple):
    missing: int
    doubled: int
    first_missing: int | None
    first_doubled: int | None


def _positions(inside: pl.DataFrame, start: int, end: int) -> _Coverage:
    """Offsets of [start, end) that no span covers, and those covered more than once."""
    walked = inside.with_columns(
        reached=pl.col("stop").cum_max().shift(1, fill_value=start)
    ).with_columns(
        hole=(pl.col("offset") - pl.col("reached")).clip(lower_bound=0),
        overlap=(pl.min_horizontal("stop", "reached") - pl.col("offset")).clip(lower_bound=0),
    )
    last = start if inside.is_empty() else int(walked.select(pl.col("stop").max()).item())
    holes = walked.filter(pl.col("hole") > 0)
    overlaps = walked.filter(pl.col("overlap") > 0)
    tail = max(0, end - last)
    first_missing = int(holes["reached"][0]) if holes.height else (last if tail else None)
    return _Coverage(
        missing=int(walked["hole"].sum()) + tail,
        doubled=int(walked["overlap"].sum()),
        first_missing=first_missing,
        first_doubled=int(overlaps["offset"][0]) if overlaps.height else None,
    )
