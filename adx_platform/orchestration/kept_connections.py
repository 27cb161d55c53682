"""Dagster's SQLite files, without opening one anew for every event.

Belongs here: how this process connects to the event log and the runs. Does not belong here: what is
written (Dagster does), and what is removed (``event_log``).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final
from weakref import WeakKeyDictionary, finalize

from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite import SqliteRunStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool

# Each run has a file of its own: a process writes to its run, the index and what has no run.
OPEN_FILES: Final = 4


class _Files:
    """The connections of one storage, to the files that it used last."""

    def __init__(self) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._lock = Lock()

    def engine(self, url: str) -> Engine:
        """That of a file; where there are too many, the one that was not used for longest goes."""
        with self._lock:
            engine = self._engines.pop(url, None) or create_engine(
                url,
                poolclass=QueuePool,
                max_overflow=-1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            self._engines[url] = engine
            if len(self._engines) > OPEN_FILES:
                self._engines.popitem(last=False)[1].dispose()
            return engine

    def close(self) -> None:
        """Close all; the next use opens them again."""
        with self._lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    def forget(self) -> None:
        """In a forked child: the connections are the parent's, and closing them would be, too."""
        for engine in self._engines.values():
            engine.dispose(close=False)
        self._engines.clear()
        # Another thread of the parent may have held it.
        self._lock = Lock()


_Storage = SqliteEventLogStorage | SqliteRunStorage
_files: WeakKeyDictionary[_Storage, _Files] = WeakKeyDictionary()
_adding = Lock()


def keep_connections() -> None:
    """Let this process keep its connections to Dagster's SQLite files, and what they compiled.

    Dagster makes an engine, a connection and the text of every statement anew for each event, and
    closes the file after it, at which SQLite writes its log back. A run of a hundred assets with a
    check each took 15.0 CPU seconds so and takes 5.3 (measured 2026-11).

    Methods are replaced on purpose: a run's process opens its instance before it loads any code of
    ours, and a class named in ``dagster.yaml`` would not be in the files that users have.
    """
    if SqliteEventLogStorage._connect is _event_connection:  # noqa: SLF001 - what is replaced
        return
    SqliteEventLogStorage._connect = _event_connection  # type: ignore[method-assign] # noqa: SLF001 - on purpose
    SqliteRunStorage.connect = _run_connection  # type: ignore[method-assign] # on purpose
    _close_at_dispose(SqliteEventLogStorage)
    _close_at_dispose(SqliteRunStorage)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)


def close_files(storage: _Storage) -> None:
    """Close what is open of a storage, before a file is removed or replaced."""
    if (files := _files.get(storage)) is not None:
        files.close()


def _files_of(storage: _Storage) -> _Files:
    with _adding:
        files = _files.get(storage)
        if files is None:
            files = _files[storage] = _Files()
            # A storage that nobody disposed of, as most are at the end of a process.
            finalize(storage, files.close)
        return files


@contextmanager
def _event_connection(self: SqliteEventLogStorage, shard: str) -> Iterator[Connection]:
    """As Dagster's own: one at a time in a process, and a new file gets its tables."""
    with self._db_lock:
        engine = _files_of(self).engine(self.conn_string_for_shard(shard))
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        with engine.begin() as connection:
            yield connection


@contextmanager
def _run_connection(self: SqliteRunStorage) -> Iterator[Connection]:
    with _files_of(self).engine(self._conn_string).begin() as connection:
        yield connection


def _close_at_dispose(cls: type[SqliteEventLogStorage | SqliteRunStorage]) -> None:
    dispose: Callable[[Any], None] = cls.dispose

    def dispose_and_close(self: _Storage) -> None:
        dispose(self)
        close_files(self)

    cls.dispose = dispose_and_close  # type: ignore[method-assign] # on purpose


def _forget_all() -> None:
    global _adding  # noqa: PLW0603 - another thread of the parent may have held it
    _adding = Lock()
    for files in list(_files.values()):
        files.forget()
