"""Are the files that a table consists of there, whole and readable?

Belongs here: comparing the active files of a table's log with the store, and turning a read that
fails on such a file into an error that names it. Does not belong here: mending
(``pipeline.repair``).

The log says which files are active, how long each is and which offsets it holds; the store is
asked for each of them by name. A folder listing would find files that are no part of the table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, Final, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from polars.exceptions import PanicException, PolarsError

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.errors import CommitContention, LakeFileDamaged, LakeUnavailable
from adx_platform.lake.files import FileState, LakeFiles
from adx_platform.lake.tables import LakeTable

_MAGIC: Final = b"PAR1"
_TAIL: Final = 8  # length of the footer, and the magic again
_SHORTEST: Final = len(_MAGIC) + _TAIL
_SHOWN: Final = 3
_MAX_ATTEMPTS: Final = 8


class Damage(StrEnum):
    """What is wrong with a file: not there, of another length than committed, or not Parquet."""

    MISSING = "missing"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """One active file that cannot be read as it was committed.

    Attributes:
        path: under the table's folder, as the log has it.
        kind: what is wrong with it.
        stream: topic of the table; empty where a table is not one stream's.
        layer: ``raw`` or ``events``; the table's name where it is not one stream's.
        topic_id: identity of the topic; null where the file holds several incarnations.
        ranges: within these offsets its rows lie, others' between them; a gap row at the end may
            reach further. Empty where the log has no statistics.
        rows: how many it held, as committed; null where the log does not say.
    """

    path: str
    kind: Damage
    stream: str
    layer: str
    topic_id: str | None
    ranges: tuple[OffsetRange, ...]
    rows: int | None

    def explain(self) -> str:
        """One sentence for a person."""
        held = "" if self.rows is None else f", {self.rows:,} rows"
        where = f" within {', '.join(map(str, self.ranges))}" if self.ranges else ""
        table = f"{self.layer}/{self.stream}" if self.stream else self.layer
        return f"{table}: file {self.path} is {self.kind}{held}{where}"


@dataclass(slots=True)
class VerifiedFiles:
    """Files whose content was found good, so that a live check reads new files only.

    A file is known by its path, size and, where the store tells, the time of its last change: one
    that was written over is looked at again.
    """

    _known: set[tuple[str, str, FileState]] = field(default_factory=set)

    def has(self, table: str, path: str, state: FileState) -> bool:
        """Whether this very file was found good before."""
        return (table, path, state) in self._known

    def replace(self, table: str, good: Collection[tuple[str, FileState]]) -> None:
        """Remember ``good`` of ``table`` and forget its other files, which are not active now."""
        self._known = {known for known in self._known if known[0] != table}
        self._known |= {(table, path, state) for path, state in good}


def damaged_files(
    table: LakeTable,
    *,
    deep: bool = False,
    within: Collection[OffsetRange] = (),
    verified: VerifiedFiles | None = None,
) -> list[DamagedFile]:
    """Every active file of ``table`` that is missing, of another size, or not readable.

    Args:
        table: a raw or an events table.
        deep: decode every column of every file; otherwise the size of each and the footer.
        within: only files that may hold these offsets; empty: all.
        verified: what was found good before is asked for its size only; it is updated. A deep
            look does not rely on it.

    Raises:
        LakeUnavailable: the storage failed.
    """
    handle = table.find()
    if handle is None:
        return []
    with table.storage.explained(f"looking at the files of table {table.name}"):
        actions = [a for a in _actions(handle) if _may_hold(a, within)]
        files = LakeFiles(table.storage, table.storage.table_uri(table.name))
        states = files.states([action["path"] for action in actions])
        good: list[tuple[str, FileState]] = []
        damaged = []
        for action, state in zip(actions, states, strict=True):
            kind = _size_damage(action, state)
            known = verified is not None and verified.has(table.name, action["path"], state)
            if kind is None and (deep or not known):
                kind = _content_damage(files, action, deep=deep)
            if kind is None:
                good.append((action["path"], state))
            else:
                damaged.append(_named(table, action, kind))
        if verified is not None and not within:
            verified.replace(table.name, good)
    return damaged


@contextmanager
def damage_explained(table: LakeTable, doing: str) -> Iterator[None]:
    """Turn a read that fails on a damaged file into :class:`LakeFileDamaged`.

    Other failures of the storage are explained as :meth:`LakeStorage.explained` does.

    Raises:
        LakeFileDamaged: names the files and the command that mends them.
        LakeUnavailable: the storage failed, or the files that were read have been replaced.
    """
    try:
        with table.storage.explained(doing):
            yield
    except CommitFailedError:
        # Another writer was faster: nothing of the files.
        raise
    # polars panics on a file that is shorter than its footer says (2.1.0), and a panic is not an
    # Exception: uncaught it would end the thread that reads.
    except (DeltaError, OSError, PolarsError, PanicException, pa.ArrowException) as error:
        # The shallow look finds most damage at the price of a few requests.
        found = damaged_files(table) or damaged_files(table, deep=True)
        if found:
            raise LakeFileDamaged(damage_message(found)) from error
        if isinstance(error, FileNotFoundError) or "not found" in str(error).lower():
            raise LakeUnavailable(
                f"{doing} failed: a file of it was replaced meanwhile (a compaction, a repair); "
                "run again, nothing is lost"
            ) from error
        raise


def damage_message(found: Sequence[DamagedFile]) -> str:
    """What is damaged, and what to do about it."""
    shown = [item.explain() for item in found[:_SHOWN]]
    if len(found) > _SHOWN:
        shown.append(f"and {len(found) - _SHOWN} more files")
    if stream := found[0].stream:
        return f"{'; '.join(shown)}. Run `adx repair --stream {stream}`"
    # A file of one of the small tables, of which Kafka holds no copy.
    return f"{'; '.join(shown)}. Put it back from a backup or an earlier version of the bucket"


def missing_files(handle: DeltaTable) -> list[str]:
    """Active files that are not in the store."""
    return [str(path) for path in handle.repair(dry_run=True)["files_removed"]]


def remove_missing(table: LakeTable) -> None:
    """Take the active files that are not in the store out of the table, in one commit.

    Cursors and other application transactions stay as they are (tried on deltalake 1.6.6).

    Raises:
        CommitContention: other commits got in the way for all of the bounded retries.
        LakeUnavailable: the storage failed.
    """
    for _ in range(_MAX_ATTEMPTS):
        handle = table.find()
        with table.storage.explained(f"committing to table {table.name}"):
            try:
                if handle is not None and missing_files(handle):
                    handle.repair()
            except CommitFailedError:
                continue
        return
    raise CommitContention(
        f"table {table.name}: {_MAX_ATTEMPTS} commits in a row met another writer; run again"
    )


def _actions(handle: DeltaTable) -> list[dict[str, Any]]:
    """The add action of each active file: path, size and statistics by name."""
    return pl.DataFrame(handle.get_add_actions(flatten=True)).to_dicts()


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What the statistics of a file say: its lowest and highest partition and offset."""

    first: int
    last: int
    low: int
    high: int

    @classmethod
    def of(cls, action: dict[str, Any]) -> Self | None:
        values = [
            action.get(name)
            for name in ("min.partition", "max.partition", "min.offset", "max.offset")
        ]
        if any(value is None for value in values):
            return None
        return cls(*(int(str(value)) for value in values))


def _may_hold(action: dict[str, Any], within: Collection[OffsetRange]) -> bool:
    bounds = _Bounds.of(action)
    if not within or bounds is None:
        return True
    return any(
        bounds.first <= item.partition <= bounds.last
        and bounds.low < item.end
        and item.start <= bounds.high
        for item in within
    )


def _size_damage(action: dict[str, Any], state: FileState) -> Damage | None:
    if state.size is None:
        return Damage.MISSING
    return None if state.size == action["size_bytes"] else Damage.TRUNCATED


def _content_damage(files: LakeFiles, action: dict[str, Any], *, deep: bool) -> Damage | None:
    try:
        # What goes wrong here is the store's doing: a file must not be called unreadable, and then
        # be moved aside, because the store was away.
        opened = files.open_whole(action["path"]) if deep else files.open(action["path"])
        with opened as file:
            return _unreadable(file, action, deep=deep)
    except FileNotFoundError:
        return Damage.MISSING


def _unreadable(file: IO[bytes], action: dict[str, Any], *, deep: bool) -> Damage | None:
    size, wanted = action["size_bytes"], action.get("num_records")
    if size < _SHORTEST:
        return Damage.UNREADABLE
    head = file.read(len(_MAGIC))
    file.seek(size - _TAIL)
    tail = file.read(_TAIL)
    length = int.from_bytes(tail[: -len(_MAGIC)], "little")
    if not head == tail[-len(_MAGIC) :] == _MAGIC or length > size - _SHORTEST:
        return Damage.UNREADABLE
    file.seek(size - _TAIL - length)
    footer = file.read(length)
    try:
        rows = pq.read_metadata(pa.BufferReader(_MAGIC + footer + tail)).num_rows
        if deep:
            file.seek(0)
            rows = sum(batch.num_rows for batch in pq.ParquetFile(file).iter_batches())
    # OSError: what pyarrow raises for pages that do not decode.
    except (OSError, pa.ArrowException):
        return Damage.UNREADABLE
    return None if wanted is None or wanted == rows else Damage.UNREADABLE


def _named(table: LakeTable, action: dict[str, Any], kind: Damage) -> DamagedFile:
    layer, _, topic = table.name.partition("/")
    bounds = _Bounds.of(action)
    same = action.get("min.topic_id") == action.get("max.topic_id")
    ranges: tuple[OffsetRange, ...] = ()
    if bounds is not None:
        partitions = range(bounds.first, bounds.last + 1)
        ranges = tuple(OffsetRange(p, bounds.low, bounds.high + 1) for p in partitions)
    return DamagedFile(
        path=action["path"],
        kind=kind,
        stream=topic,
        layer=layer,
        topic_id=action.get("min.topic_id") if same else None,
        ranges=ranges,
        rows=action.get("num_records"),
    )
