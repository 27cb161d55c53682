"""The proof that a frame accounts for the offset ranges that it is committed for.

Belongs here: joining ranges, and the completeness check that guards every commit. Does not belong
here: planning (``streams``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.lake.errors import UnaccountedOffsets


def contiguous(spans: Iterable[OffsetRange]) -> tuple[OffsetRange, ...]:
    """One range per partition: adjoining spans joined, empty ones dropped, in partition order.

    Raises:
        ValueError: two spans of one partition overlap or leave a hole.
    """
    joined: dict[int, OffsetRange] = {}
    for span in sorted(spans, key=lambda s: (s.partition, s.start)):
        if span.end <= span.start:
            continue
        known = joined.get(span.partition)
        if known is None:
            joined[span.partition] = OffsetRange(span.partition, span.start, span.end)
        elif span.start == known.end:
            joined[span.partition] = OffsetRange(span.partition, known.start, span.end)
        else:
            raise ValueError(
                f"partition {span.partition}: offsets [{span.start}, {span.end}) do not continue "
                f"[{known.start}, {known.end})"
            )
    return tuple(joined.values())


def accounted_ranges(frame: pl.DataFrame) -> tuple[OffsetRange, ...]:
    """From the first to the last offset that the rows stand for, per partition, in order.

    It does not look for holes: :func:`require_accounted` does, before anything is committed.
    """
    ends = pl.col("offset") + pl.col("gap_length").fill_null(1)
    found = (
        frame.group_by("partition")
        .agg(pl.col("offset").min().alias("start"), ends.max().alias("end"))
        .sort("partition")
    )
    return tuple(OffsetRange(*row) for row in found.iter_rows())


def stored_spans(rows: pl.DataFrame) -> tuple[OffsetRange, ...]:
    """The offsets that rows stand for; those that follow each other are one range.

    Args:
        rows: with ``partition``, ``offset`` and ``gap_length``, of one topic id, in any order.
    """
    ordered = rows.select(
        "partition", "offset", end=pl.col("offset") + pl.col("gap_length").fill_null(1)
    ).sort("partition", "offset")
    # Joined here first: a range for every row of a large file would be slow.
    begins = (pl.col("offset") != pl.col("end").shift(1)) | (
        pl.col("partition") != pl.col("partition").shift(1)
    )
    joined = (
        ordered.with_columns(run=begins.fill_null(value=True).cum_sum())
        .group_by("run", maintain_order=True)
        .agg(pl.col("partition").first(), pl.col("offset").first(), pl.col("end").last())
    )
    return merge_ranges(
        OffsetRange(*row) for row in joined.select("partition", "offset", "end").iter_rows()
    )


def require_accounted(
    frame: pl.DataFrame, topic_id: str, ranges: Sequence[OffsetRange], *, holes: bool = False
) -> None:
    """Prove that ``frame`` accounts for every offset of ``ranges`` once, and for no other.

    A row stands for one offset, or for ``gap_length`` of them where that is set. ``holes`` allows
    offsets that no row stands for (a restatement of part of a gap), but neither doubles nor
    strangers.

    Raises:
        UnaccountedOffsets: names the first partition and offset that do not fit.
    """
    foreign = frame.filter(pl.col("topic_id").ne_missing(topic_id))
    if foreign.height:
        raise UnaccountedOffsets(
            f"{foreign.height} rows are not of topic id {topic_id!r} but of "
            f"{foreign['topic_id'][0]!r}; nothing was written"
        )
    rows = frame.select(
        "partition",
        "offset",
        (pl.col("offset") + pl.col("gap_length").fill_null(1)).alias("next"),
    )
    strangers = rows.filter(~pl.col("partition").is_in([r.partition for r in ranges]))
    if strangers.height:
        first = strangers["partition"].sort()[0]
        raise UnaccountedOffsets(
            f"{strangers.height} rows are of partition {first}, "
            "which is not in the range; nothing was written"
        )
    for span in ranges:
        of_partition = rows.filter(pl.col("partition") == span.partition).sort("offset")
        _require_one(of_partition, span, holes=holes)


def _require_one(rows: pl.DataFrame, span: OffsetRange, *, holes: bool) -> None:
    where = f"partition {span.partition}, offsets [{span.start}, {span.end})"
    previous_end = pl.col("next").shift(1, fill_value=span.start)
    doubled = pl.col("offset") < previous_end
    wrong = rows.filter(doubled if holes else pl.col("offset") != previous_end)
    if wrong.height:
        raise UnaccountedOffsets(
            f"{where}: offset {wrong['offset'][0]} does not follow the row before it (a hole, a "
            "double or a row outside the range); nothing was written"
        )
    end = int(rows["next"][-1]) if rows.height else span.start
    if end > span.end or (end < span.end and not holes):
        raise UnaccountedOffsets(f"{where}: the rows end at {end}; nothing was written")
