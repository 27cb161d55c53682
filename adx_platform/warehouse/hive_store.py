"""The Hive engine's folder: immutable copies of rows, and the versions that name them.

Belongs here: writing a copy, committing a version that did not exist, the lock of the one writer
and the deletion of copies that no kept version names. Does not belong here: what a copy holds
(``hive_engine``) or telling the metastore about it (``hive_catalog``).

A version is one JSON file that names every copy of every table. Creating it is the commit: it is
created whole or not at all, and never over another one.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO

import polars as pl

from adx_platform.warehouse.base import StaleLoadError, WarehouseBusyError, WarehouseError

WHOLE = ""
"""The slot of a table without partitions."""

KEPT_SECONDS = 3600.0
_POLL_SECONDS = 0.1
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Copy:
    """One folder of rows.

    Attributes:
        folder: relative to the store, with forward slashes.
        rows: how many there are.
        spans: ``(topic_id, partition, lowest offset, highest offset)`` of the rows, where the table
            has offsets: tells which copies a replaced range may be in.
    """

    folder: str
    rows: int
    spans: tuple[tuple[str, int, int, int], ...] = ()


Slots = dict[tuple[str, str], Copy]
"""``(schema.table, hour)`` -> its copy."""

Changes = dict[tuple[str, str], Copy | None]
"""What a version changes: slots and their new copies, or ``None`` for those that go."""


@dataclass(frozen=True, slots=True)
class Version:
    """What the warehouse holds: number 0 is the empty warehouse."""

    number: int = 0
    slots: Slots = field(default_factory=dict)


class HiveStore:
    """The folder of one warehouse, held by one writer at a time."""

    def __init__(self, root: Path, *, wait_seconds: float = 0.0) -> None:
        """Take the folder's lock, which the operating system frees when the process dies.

        Raises:
            WarehouseBusyError: another process still has it.
            WarehouseError: this system has no such locks.
        """
        self.root = root
        (root / "versions").mkdir(parents=True, exist_ok=True)
        (root / "empty").mkdir(exist_ok=True)
        self._lock: IO[bytes] | None = _locked(root / "lock", wait_seconds)

    def close(self) -> None:
        """Let go of the lock; closing twice is fine."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def uri(self, folder: str) -> str:
        """Where ``folder`` is, as the metastore wants it."""
        # Unescaped: Hadoop takes a location as it is, so that %20 would be part of a name.
        return f"file://{(self.root / folder).absolute().as_posix()}"

    def latest(self) -> Version:
        """The committed version with the highest number."""
        return self.version(max(self._numbers(), default=0))

    def version(self, number: int) -> Version:
        """Version ``number``; the empty one if it was never made or is no longer kept."""
        path = self._path(number)
        if number == 0 or not path.exists():
            return Version()
        slots = {
            (table, hour): Copy(folder, rows, tuple((t, p, a, b) for t, p, a, b in spans))
            for table, hour, folder, rows, spans in json.loads(path.read_text(encoding="utf-8"))
        }
        return Version(number, slots)

    def write(
        self, table: str, hour: str, frame: pl.DataFrame, *, after: Copy | None = None
    ) -> Copy:
        """Write ``frame`` into a new folder that nobody reads yet, down to the disk.

        With ``after`` the new copy has its rows as well, by a link to each of its files.
        """
        folder = f"copies/{table}/{hour or 'all'}/{uuid.uuid4().hex}"
        (self.root / folder).mkdir(parents=True)
        for file in () if after is None else self._files(after):
            os.link(file, self.root / folder / file.name)
        path = self.root / folder / f"rows-{uuid.uuid4().hex}.parquet"
        frame.write_parquet(path)
        _sync(path)
        _sync(path.parent)
        rows, spans = (0, ()) if after is None else (after.rows, after.spans)
        return Copy(folder, rows + frame.height, spans + _spans(frame))

    def read(self, copy: Copy, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of ``copy``; with ``columns`` only these, which it must have."""
        chosen = None if columns is None else list(columns)
        files = [pl.read_parquet(file, columns=chosen) for file in self._files(copy)]
        # A file from before a column was added has nulls in it.
        return files[0] if len(files) == 1 else pl.concat(files, how="diagonal")

    def commit(self, base: Version, changes: Changes) -> Version:
        """Make the version after ``base``: the commit point of every write.

        Raises:
            StaleLoadError: that version exists: another writer was faster. Nothing was changed.
        """
        slots = {key: copy for key, copy in {**base.slots, **changes}.items() if copy is not None}
        version = Version(base.number + 1, slots)
        rows = [[*key, c.folder, c.rows, c.spans] for key, c in sorted(version.slots.items())]
        draft = self.root / f"draft-{uuid.uuid4().hex}.json"
        draft.write_text(json.dumps(rows), encoding="utf-8")
        _sync(draft)
        try:
            # A link appears whole, and fails where there is a file: a rename would overwrite it.
            os.link(draft, self._path(version.number))
        except FileExistsError as error:
            raise StaleLoadError(
                f"version {version.number} of the warehouse {self.root} exists already: another "
                "loader was faster; plan the load again"
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        _sync(self.root / "versions")
        return version

    def sweep(self, applied: int, *, kept_seconds: float = KEPT_SECONDS) -> int:
        """Delete old versions, then every copy that no kept version names.

        The newest version, and version ``applied`` of the metastore, are always kept; the others
        until ``kept_seconds`` after the next one was made, so that a query that began on their
        copies may end. Copies of a load that was never committed are named by none.

        Returns:
            How many folders were deleted.
        """
        numbers = self._numbers()
        before = time.time() - kept_seconds
        for number, successor in pairwise(numbers):
            if number != applied and self._path(successor).stat().st_mtime <= before:
                self._path(number).unlink()
        named = {c.folder for n in self._numbers() for c in self.version(n).slots.values()}
        swept = 0
        for path in self.root.glob("copies/*/*/*"):
            if path.relative_to(self.root).as_posix() not in named:
                shutil.rmtree(path)
                swept += 1
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()  # an hour that has expired
        for draft in self.root.glob("draft-*.json"):
            draft.unlink()
        return swept

    def _files(self, copy: Copy) -> list[Path]:
        return sorted((self.root / copy.folder).glob("*.parquet"))

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in (self.root / "versions").glob("*.json"))

    def _path(self, number: int) -> Path:
        return self.root / "versions" / f"{number:0{_DIGITS}d}.json"


def _spans(frame: pl.DataFrame) -> tuple[tuple[str, int, int, int], ...]:
    if "kafka_offset" not in frame.columns:
        return ()
    offset = pl.col("kafka_offset")
    grouped = frame.group_by("topic_id", "partition_id").agg(
        offset.min().alias("low"), offset.max().alias("high")
    )
    return tuple(sorted(grouped.iter_rows()))


def _locked(path: Path, wait_seconds: float) -> IO[bytes]:
    try:
        fcntl = importlib.import_module("fcntl")  # absent on Windows
    except ImportError as error:
        raise WarehouseError(
            "the Hive engine's loader needs a POSIX system: run it on Linux, or choose "
            "ADX_WAREHOUSE__ENGINE=duckdb"
        ) from error
    deadline = time.monotonic() + wait_seconds
    file = path.open("ab")
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                continue
            file.close()
            raise WarehouseBusyError(
                f"another process writes the warehouse {path.parent}: wait until it is done"
            ) from error
        return file


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
