"""What every warehouse engine can do: the interface, and the words it is spoken in.

Belongs here: the protocol, the value types that cross it and its errors. Does not belong here: any
one engine (``duckdb_engine``), reading the lake (``lake_source``) or deciding what to load
(``loader``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

import polars as pl

from adx_platform.errors import AdxError

RangeKind = Literal["forward", "restatement"]


class WarehouseError(AdxError):
    """The warehouse cannot do what was asked; the message says what to do."""


class WarehouseBusyError(WarehouseError):
    """Another process writes the database."""


class StaleLoadError(WarehouseError):
    """The batch does not start at the warehouse's cursor: another loader was faster."""


class TopicPartition(NamedTuple):
    """A partition of one incarnation of a topic: the key of every cursor."""

    topic_id: str
    partition: int


@dataclass(frozen=True, slots=True, order=True)
class LoadRange:
    """Offsets ``[start, end)`` of one partition that a load brings or replaces.

    ``revision`` is 0 for a forward range, else the restatement that the range satisfies.
    """

    topic_id: str
    partition: int
    start: int
    end: int
    revision: int = 0

    @property
    def key(self) -> TopicPartition:
        """The partition that the range is of."""
        return TopicPartition(self.topic_id, self.partition)


@dataclass(frozen=True, slots=True)
class LoadBatch:
    """Everything that one warehouse transaction changes.

    Attributes:
        stream: name of the stream.
        lake_version: version of ``events/<stream>`` from which the rows were read.
        frames: rows to insert by raw table name, without ``load_id``; the engine adds it.
        forward: ranges that the cursors move over; each starts at its cursor.
        replaced: ranges below the cursors whose rows are deleted before the insert.
        satisfied: forward ranges whose rows already carry a restatement, so that it is not applied
            again; nothing is deleted for them.
    """

    stream: str
    lake_version: int
    frames: Mapping[str, pl.DataFrame]
    forward: Sequence[LoadRange] = ()
    replaced: Sequence[LoadRange] = ()
    satisfied: Sequence[LoadRange] = ()


@dataclass(frozen=True, slots=True)
class LoadReceipt:
    """What one committed transaction did: rows inserted and removed by raw table name."""

    load_id: int
    inserted: dict[str, int]
    removed: dict[str, int]


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What was published: the snapshot's file or schema, and the rows of each mart."""

    build_id: str
    snapshot: Path | str
    rows: dict[str, int]


class Warehouse(Protocol):
    """One engine. An open warehouse may hold a lock: use it as a context manager, briefly."""

    def __enter__(self) -> Self:
        """Use the warehouse in a ``with`` block."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the warehouse."""
        ...

    def close(self) -> None:
        """Release connections and locks; closing twice is fine."""
        ...

    def ensure_schema(self) -> None:
        """Create missing schemas, tables and columns; widen columns whose contract widened.

        Raises:
            WarehouseError: a column has a type that cannot become the contract's.
        """
        ...

    def cursors(self, stream: str) -> dict[TopicPartition, int]:
        """Next offset to load of every partition that was ever loaded."""
        ...

    def applied_restatements(self, stream: str) -> list[LoadRange]:
        """Every range of which a restatement is already in the raw tables."""
        ...

    def load(self, batch: LoadBatch) -> LoadReceipt:
        """Apply ``batch`` in one transaction: all of it, or nothing.

        Raises:
            StaleLoadError: a forward range does not start at its cursor, or a replaced range is not
                below it. Nothing was changed.
        """
        ...

    def load_reference(
        self, name: str, frame: pl.DataFrame, *, version: str, force: bool = False
    ) -> bool:
        """Replace reference table ``name`` by ``frame`` in one transaction.

        Returns:
            Whether anything was written: not when ``version`` is loaded already, unless ``force``.
        """
        ...

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Run one query; times come back as naive UTC."""
        ...

    def built_tables(self, schema: str) -> list[str]:
        """Names of the tables, views aside, of ``schema``; none where there is no such schema."""
        ...

    def views_made_from(self, project: str) -> frozenset[str]:
        """Names of the views that need not be made again while the dbt project is this one.

        None where a view does not outlive the tables that it reads, or does not say what it was
        made from: Redshift, Hive.
        """
        ...

    def latest_load(self) -> int:
        """The highest load_id committed; 0 when nothing was loaded."""
        ...

    def completed_load(self) -> int:
        """The highest load_id that a full green build included; 0 when there was none."""
        ...

    def record_build(self, build_id: str, to_load_id: int) -> None:
        """Note that a full green build included every load up to ``to_load_id``.

        ``to_load_id`` is :meth:`latest_load` from before the build began: a load that was committed
        while it ran may be in some of its models only.

        Recording the same build again with the same loads changes nothing.

        Raises:
            WarehouseError: the build is recorded with other loads, or the load does not exist.
        """
        ...
