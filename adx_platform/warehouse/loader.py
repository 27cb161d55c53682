"""Carrying refined events from the lake into the raw tables, exactly once.

Belongs here: the order of a load: restated ranges first, then what is new, in bounded transactions.
Does not belong here: SQL (the engines), reading Delta (``lake_source``), sorting rows into tables
(``projection``).

A load reads one version of the events table and moves the warehouse's own offset cursors in the
transaction that inserts the rows: killed at any instant, the next load goes on where the last
committed transaction ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from deltalake.exceptions import DeltaError

from adx_platform.contracts.streams import stream_named
from adx_platform.lake.errors import LakeUnavailable
from adx_platform.lake.loaded import note_loaded
from adx_platform.lake.storage import LakeStorage
from adx_platform.warehouse.base import LoadBatch, LoadRange, LoadReceipt, Warehouse
from adx_platform.warehouse.lake_source import LakeSource
from adx_platform.warehouse.projection import project

logger = logging.getLogger(__name__)

# Memory, not speed: bid requests peaked at 1.0 GB of process memory with this bound and at 1.3 GB
# with 500,000, both at some 60,000 rows per second on two busy cores.
MAX_ROWS = 250_000

OnTransaction = Callable[[LoadReceipt], None]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What one call of :func:`load_pending` did.

    Attributes:
        stream: name of the stream.
        lake_version: version of ``events/<stream>`` that was read.
        load_ids: the transactions, in order.
        forward: ranges that were loaded for the first time.
        replaced: ranges whose rows a restatement replaced.
        inserted: rows written, by raw table.
        removed: rows taken out, by raw table.
        seconds: wall clock.
    """

    stream: str
    lake_version: int
    load_ids: tuple[int, ...]
    forward: tuple[LoadRange, ...]
    replaced: tuple[LoadRange, ...]
    inserted: dict[str, int]
    removed: dict[str, int]
    seconds: float

    @property
    def rows(self) -> int:
        """Rows written over all raw tables."""
        return sum(self.inserted.values())


@dataclass(slots=True)
class _Progress:
    receipts: list[LoadReceipt] = field(default_factory=list)
    forward: list[LoadRange] = field(default_factory=list)
    replaced: list[LoadRange] = field(default_factory=list)


def load_pending(
    warehouse: Warehouse,
    lake: LakeStorage,
    stream: str,
    *,
    max_rows: int = MAX_ROWS,
    on_transaction: OnTransaction | None = None,
) -> LoadReport | None:
    """Load everything of ``stream`` that the newest version of the lake has and we do not.

    Args:
        warehouse: open, with its schema in place.
        lake: root of the lake.
        stream: name of the stream.
        max_rows: event rows per transaction.
        on_transaction: called after each commit, for progress.

    Returns:
        What was done; ``None`` if there was nothing to do.

    Raises:
        ValueError: ``max_rows`` is below 1.
        StaleLoadError: another loader moved the cursors meanwhile; what was committed stays.
        LakeUnavailable: the storage failed; what was committed stays.
    """
    if max_rows < 1:
        raise ValueError(f"max_rows is {max_rows}: a transaction needs room for a row")
    report = _load(warehouse, lake, stream, max_rows, on_transaction)
    _tell_lake(warehouse, lake, stream)
    return report


def _load(
    warehouse: Warehouse,
    lake: LakeStorage,
    stream: str,
    max_rows: int,
    on_transaction: OnTransaction | None,
) -> LoadReport | None:
    started = time.monotonic()
    source = LakeSource.open(lake, stream)
    if source is None:
        return None
    cursors = warehouse.cursors(stream)
    restated = source.restated_behind(cursors, warehouse.applied_restatements(stream))
    ahead = source.ahead_of(cursors)
    progress = _Progress()
    for revision in sorted({part.revision for part in restated}):
        # One revision after the other: two of them may have rows of one range, and an insert of
        # the second would otherwise stand beside that of the first in the same transaction.
        ranges = [part for part in restated if part.revision == revision]
        for batch in _batches(source, stream, ranges, max_rows):
            _apply(warehouse, batch, progress, on_transaction)
    for batch in _batches(source, stream, ahead, max_rows):
        _apply(warehouse, batch, progress, on_transaction)
    if not progress.receipts:
        return None
    return LoadReport(
        stream=stream,
        lake_version=source.version,
        load_ids=tuple(receipt.load_id for receipt in progress.receipts),
        forward=tuple(progress.forward),
        replaced=tuple(progress.replaced),
        inserted=_total(receipt.inserted for receipt in progress.receipts),
        removed=_total(receipt.removed for receipt in progress.receipts),
        seconds=time.monotonic() - started,
    )


def _tell_lake(warehouse: Warehouse, lake: LakeStorage, stream: str) -> None:
    try:
        cursors = {
            (key.topic_id, key.partition): offset
            for key, offset in warehouse.cursors(stream).items()
        }
        note_loaded(lake, stream_named(stream).topic, cursors)
    except (LakeUnavailable, DeltaError) as error:
        # What was loaded is loaded; the next load notes it.
        logger.warning("the lake was not told how far %s is loaded: %s", stream, error)


def _batches(
    source: LakeSource, stream: str, ranges: list[LoadRange], max_rows: int
) -> Iterable[LoadBatch]:
    for pieces, events in source.portions(ranges, max_rows):
        forward = [piece for piece in pieces if not piece.revision]
        yield LoadBatch(
            stream=stream,
            lake_version=source.version,
            frames=project(stream, events),
            forward=forward,
            replaced=[piece for piece in pieces if piece.revision],
            satisfied=source.restated_within(forward),
        )


def _apply(
    warehouse: Warehouse, batch: LoadBatch, progress: _Progress, report: OnTransaction | None
) -> None:
    receipt = warehouse.load(batch)
    progress.receipts.append(receipt)
    progress.forward.extend(batch.forward)
    progress.replaced.extend(batch.replaced)
    if report is not None:
        report(receipt)


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    return total
