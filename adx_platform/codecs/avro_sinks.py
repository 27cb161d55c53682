"""Where decoded values go: columns of a nesting level, built as Arrow arrays at the end.

Belongs here: leaf, struct and list columns that take values for slots in any order. Does not belong
here: reading bytes (``avro_nodes``).

A level is what has rows of its own: the messages, and the items of each list column. Values of a
struct's members are put straight into the rows of the enclosing level, as Arrow lays them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from adx_platform.codecs.avro_bytes import Cursor, Ints, Mask, Messages
from adx_platform.codecs.avro_failures import Failure
from adx_platform.contracts.dispositions import ReasonCode

_INLINE = 12
"""A string view holds this many bytes itself; longer text is referred to."""
_PREFIX = 4
_WORD = 8
_KEEP = np.array([(1 << (8 * count)) - 1 for count in range(8)] + [2**64 - 1], dtype=np.uint64)
"""Masks that keep the first ``i`` bytes of a little-endian word."""


@dataclass(slots=True)
class Level:
    """Rows at one nesting level, numbered as they are found."""

    size: int = 0
    parents: list[Ints] = field(default_factory=list)
    messages: list[Ints] = field(default_factory=list)

    def open_rows(self, cursor: Cursor) -> None:
        """Give every entry of the cursor a new row under the row it had."""
        self.parents.append(cursor.slot)
        self.messages.append(cursor.message)
        cursor.slot = np.arange(self.size, self.size + len(cursor), dtype=np.int64)
        self.size += len(cursor)


@dataclass(frozen=True, slots=True)
class Layout:
    """The final order of a level's rows.

    Attributes:
        size: number of rows.
        rank: final position of each slot; None: slots are final.
        message: message of each final row.
    """

    size: int
    rank: Ints | None
    message: Ints

    def place(self, slots: Ints) -> Ints:
        """Final positions of slots."""
        return slots if self.rank is None else self.rank[slots]


class Sink(Protocol):
    """A column under construction."""

    def build(self, layout: Layout, messages: Messages) -> pa.Array:
        """The column; may fail messages whose values it cannot hold."""


@dataclass
class NumberSink:
    """A column of numbers or booleans."""

    dtype: npt.DTypeLike
    arrow: pa.DataType
    chunks: list[tuple[Ints, npt.NDArray[np.generic]]] = field(default_factory=list)

    def put(self, cursor: Cursor, values: npt.NDArray[np.generic]) -> None:
        """Values for the cursor's slots."""
        self.chunks.append((cursor.slot, values))

    def build(self, layout: Layout, messages: Messages) -> pa.Array:  # noqa: ARG002 - a Sink's signature
        """See :class:`Sink`."""
        values = np.zeros(layout.size, dtype=self.dtype)
        valid = np.zeros(layout.size, dtype=np.bool_)
        for slots, chunk in self.chunks:
            places = layout.place(slots)
            values[places] = chunk
            valid[places] = True
        body = _bitmap(values) if values.dtype == np.bool_ else pa.py_buffer(values)
        return pa.Array.from_buffers(self.arrow, layout.size, [_validity(valid), body])


@dataclass
class TextSink:
    """A column of text or bytes that refers to the messages' own buffer."""

    is_text: bool
    path: str
    chunks: list[tuple[Ints, Ints, Ints]] = field(default_factory=list)

    def put(self, cursor: Cursor, start: Ints, length: Ints) -> None:
        """Byte ranges for the cursor's slots."""
        self.chunks.append((cursor.slot, start, length))

    def build(self, layout: Layout, messages: Messages) -> pa.Array:
        """See :class:`Sink`. Text that is not UTF-8 fails its message."""
        views = np.zeros((layout.size, 2), dtype=np.uint64)
        valid = np.zeros(layout.size, dtype=np.bool_)
        for slots, start, length in self.chunks:
            places = layout.place(slots)
            views[places] = _string_views(messages, start, length)
            valid[places] = True
        if not self.is_text:
            return _view_array(pa.binary_view(), views, valid, messages)
        binary = pl.Series(pl.from_arrow(_view_array(pa.binary_view(), views, valid, messages)))
        try:
            binary.cast(pl.String)
        except pl.exceptions.ComputeError:
            broken = np.array([not _is_utf8(value) for value in binary.to_list()], dtype=np.bool_)
            reason = f"{self.path}: the text is not valid UTF-8"
            messages.fail_messages(
                layout.message[broken], Failure(ReasonCode.INVALID_ENCODING, reason)
            )
            views[broken] = 0
            valid &= ~broken
        return _view_array(pa.string_view(), views, valid, messages)


@dataclass
class StructSink:
    """A column of records."""

    members: dict[str, Sink]
    present: list[Ints] = field(default_factory=list)

    def put(self, cursor: Cursor) -> None:
        """The cursor's slots hold a record."""
        self.present.append(cursor.slot)

    def build(self, layout: Layout, messages: Messages) -> pa.Array:
        """See :class:`Sink`."""
        children = {name: sink.build(layout, messages) for name, sink in self.members.items()}
        fields = [pa.field(name, child.type) for name, child in children.items()]
        return pa.Array.from_buffers(
            pa.struct(fields),
            layout.size,
            [_validity(_present(self.present, layout))],
            children=list(children.values()),
        )


@dataclass
class ListSink:
    """A column of lists, whose items are a level of their own."""

    items: Sink
    level: Level = field(default_factory=Level)
    present: list[Ints] = field(default_factory=list)

    def put(self, cursor: Cursor) -> None:
        """The cursor's slots hold a list, maybe an empty one."""
        self.present.append(cursor.slot)

    def build(self, layout: Layout, messages: Messages) -> pa.Array:
        """See :class:`Sink`."""
        parents = layout.place(_joined(self.level.parents))
        # A parent's items were found in their order, so a stable sort by parent restores it.
        order = np.argsort(parents, kind="stable")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order), dtype=np.int64)
        inner = Layout(self.level.size, rank, _joined(self.level.messages)[order])
        offsets = np.zeros(layout.size + 1, dtype=np.int64)
        np.cumsum(np.bincount(parents, minlength=layout.size), out=offsets[1:])
        child = self.items.build(inner, messages)
        return pa.Array.from_buffers(
            pa.large_list(pa.field("item", child.type)),
            layout.size,
            [_validity(_present(self.present, layout)), pa.py_buffer(offsets)],
            children=[child],
        )


def _is_utf8(value: bytes | None) -> bool:
    if value is None:
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _joined(chunks: list[Ints]) -> Ints:
    return np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int64)


def _present(chunks: list[Ints], layout: Layout) -> Mask:
    present = np.zeros(layout.size, dtype=np.bool_)
    for slots in chunks:
        present[layout.place(slots)] = True
    return present


def _bitmap(mask: Mask) -> pa.Buffer:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def _validity(valid: Mask) -> pa.Buffer | None:
    return None if valid.all() else _bitmap(valid)


def _view_array(
    kind: pa.DataType, views: npt.NDArray[np.uint64], valid: Mask, messages: Messages
) -> pa.Array:
    buffers = [_validity(valid), pa.py_buffer(views), pa.py_buffer(messages.data)]
    return pa.Array.from_buffers(kind, len(views), buffers)


def _string_views(messages: Messages, start: Ints, length: Ints) -> npt.NDArray[np.uint64]:
    """Arrow's 16-byte views: length, then the text itself, or its first bytes and its place."""
    prefix = messages.words32(start).astype(np.uint64) & _KEEP[np.minimum(length, _PREFIX)]
    rest = messages.words64(start + _PREFIX) & _KEEP[np.clip(length - _PREFIX, 0, _WORD)]
    views = np.empty((len(start), 2), dtype=np.uint64)
    views[:, 0] = length.astype(np.uint64) | (prefix << np.uint64(32))
    views[:, 1] = np.where(length <= _INLINE, rest, start.astype(np.uint64) << np.uint64(32))
    return views
