"""Avro types that read their value from many messages at once.

Belongs here: one node per Avro type, each reading its value for all entries of a cursor into a
sink. Does not belong here: primitives of bytes (``avro_bytes``), building columns (``avro_sinks``),
or making nodes from a schema (``avro_plans``).

A node without a sink passes over its value: that is how added fields are not read. It checks them
all the same, because the only way to know where the next field starts is to read the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from adx_platform.codecs.avro_bytes import Cursor, Ints, Messages
from adx_platform.codecs.avro_limits import DEEPEST_RECORD, LONGEST_LIST
from adx_platform.codecs.avro_sinks import ListSink, NumberSink, StructSink, TextSink
from adx_platform.contracts.dispositions import ReasonCode

_INT_RANGE = (-(2**31), 2**31 - 1)


class Node(Protocol):
    """Reads one Avro type."""

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:
        """Read the value of every entry and move the cursor behind it."""


@dataclass
class NumberNode:
    """``int`` and ``long``."""

    path: str
    is_int: bool
    sink: NumberSink | None

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:  # noqa: ARG002 - a Node's signature
        """See :class:`Node`."""
        values = messages.number(cursor, self.path)
        if self.is_int:
            wrong = (values < _INT_RANGE[0]) | (values > _INT_RANGE[1])
            if wrong.any():
                reason = f"{self.path}: a number that does not fit into an int"
                messages.fail(cursor, wrong, ReasonCode.MALFORMED_AVRO, reason)
                values[wrong] = 0
        if self.sink is not None:
            self.sink.put(cursor, values)


@dataclass
class FloatNode:
    """``float`` and ``double``."""

    path: str
    width: int
    sink: NumberSink | None

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:  # noqa: ARG002 - a Node's signature
        """See :class:`Node`."""
        start = messages.fixed_width(cursor, self.width, self.path)
        if self.sink is None:
            return
        if self.width == np.dtype(np.float64).itemsize:
            self.sink.put(cursor, messages.words64(start).view(np.float64))
        else:
            self.sink.put(cursor, messages.words32(start).view(np.float32))


@dataclass
class BooleanNode:
    """``boolean``: one byte, 0 or 1."""

    path: str
    sink: NumberSink | None

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:  # noqa: ARG002 - a Node's signature
        """See :class:`Node`."""
        start = messages.fixed_width(cursor, 1, self.path)
        values = messages.data[start]
        wrong = (values > 1) & messages.alive(cursor)
        if wrong.any():
            reason = f"{self.path}: a boolean that is neither 0 nor 1"
            messages.fail(cursor, wrong, ReasonCode.MALFORMED_AVRO, reason)
        if self.sink is not None:
            self.sink.put(cursor, values == 1)


@dataclass
class TextNode:
    """``string`` and ``bytes``."""

    path: str
    sink: TextSink | None

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:  # noqa: ARG002 - a Node's signature
        """See :class:`Node`."""
        start, length = messages.span(cursor, messages.number(cursor, self.path), self.path)
        if self.sink is not None:
            self.sink.put(cursor, start, length)


@dataclass
class FixedNode:
    """``fixed``; never a contract type, so only passed over."""

    path: str
    size: int

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:  # noqa: ARG002 - a Node's signature
        """See :class:`Node`."""
        messages.span(cursor, np.full(len(cursor), self.size, dtype=np.int64), self.path)


@dataclass
class EnumNode:
    """``enum``; never a contract type, so only passed over."""

    path: str
    symbols: int

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:  # noqa: ARG002 - a Node's signature
        """See :class:`Node`."""
        values = messages.number(cursor, self.path)
        wrong = (values < 0) | (values >= self.symbols)
        if wrong.any():
            reason = f"{self.path}: no such enum symbol"
            messages.fail(cursor, wrong, ReasonCode.MALFORMED_AVRO, reason)


@dataclass
class NullNode:
    """``null``: no bytes."""

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:
        """See :class:`Node`."""


@dataclass
class UnionNode:
    """A union: each branch reads the entries that chose it."""

    path: str
    branches: list[Node]

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:
        """See :class:`Node`."""
        chosen = messages.branch(cursor, len(self.branches), self.path)
        for number, node in enumerate(self.branches):
            if isinstance(node, NullNode):
                continue
            picked = np.flatnonzero(chosen == number)
            if len(picked) == len(cursor):
                node.read(messages, cursor, depth)
            elif len(picked):
                part = cursor.take(picked)
                node.read(messages, part, depth)
                cursor.pos[picked] = part.pos


@dataclass
class RecordNode:
    """A record: its fields one after the other."""

    path: str
    sink: StructSink | None
    fields: list[Node] = field(default_factory=list)

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:
        """See :class:`Node`."""
        if depth >= DEEPEST_RECORD:
            everything = np.ones(len(cursor), dtype=np.bool_)
            reason = f"{self.path}: more than {DEEPEST_RECORD} records deep"
            messages.fail(cursor, everything, ReasonCode.TOO_DEEP, reason)
            return
        if self.sink is not None:
            self.sink.put(cursor)
        for node in self.fields:
            node.read(messages, cursor, depth + 1)


@dataclass
class BlocksNode:
    """An array, or a map passed over: blocks of a count and so many items, until a count of 0."""

    path: str
    items: list[Node]
    """The item, or of a map the key and the value."""
    sink: ListSink | None

    def read(self, messages: Messages, cursor: Cursor, depth: int) -> None:
        """See :class:`Node`."""
        if self.sink is not None:
            self.sink.put(cursor)
        remaining = np.zeros(len(cursor), dtype=np.int64)
        total = np.zeros(len(cursor), dtype=np.int64)
        active = np.arange(len(cursor), dtype=np.int64)
        while True:
            at_header = active[remaining[active] == 0]
            if len(at_header):
                part = cursor.take(at_header)
                count = self._block_count(messages, part, total[at_header])
                cursor.pos[at_header] = part.pos
                remaining[at_header] = count
                total[at_header] += count
                active = active[remaining[active] > 0]
            if not len(active):
                return
            part = cursor.take(active)
            if self.sink is not None:
                self.sink.level.open_rows(part)
            for node in self.items:
                node.read(messages, part, depth + 1)
            cursor.pos[active] = part.pos
            remaining[active] -= 1
            if messages.any_failed:
                active = active[messages.alive(part)]

    def _block_count(self, messages: Messages, cursor: Cursor, before: Ints) -> Ints:
        """Items in the next block; 0 at the end of the list and where it fails."""
        count = messages.number(cursor, self.path)
        negative = np.flatnonzero(count < 0)
        if len(negative):
            # A negative count is followed by the block's size in bytes, for readers that skip.
            part = cursor.take(negative)
            messages.span(part, np.zeros(len(part), dtype=np.int64), self.path)
            messages.number(part, self.path)
            cursor.pos[negative] = part.pos
            count[negative] = -count[negative]
        # An item takes at least one byte; the lowest long has no opposite and stays negative.
        wrong = (count < 0) | (count > cursor.end - cursor.pos)
        if wrong.any():
            reason = f"{self.path}: claims more items than the message has bytes"
            messages.fail(cursor, wrong, ReasonCode.MALFORMED_AVRO, reason)
        long = before + count > LONGEST_LIST
        long &= ~wrong
        if long.any():
            messages.defer(cursor, long)
        if messages.any_failed:
            count[~messages.alive(cursor)] = 0
        return count
