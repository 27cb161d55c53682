"""Reading the same Avro primitive from many messages at once, with every claim checked.

Belongs here: positions inside a buffer that holds all messages of a batch, and the primitives:
variable-length numbers, union branches, fixed-width values, byte ranges. Does not belong here:
schemas (``avro_nodes``) or columns (``avro_sinks``).

Every entry of a cursor is one place in one message. An entry that fails keeps its first reason,
moves behind the last message, and what it reads from then on is zero; the others are not touched.
No allocation follows from a length or a count that a message claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from adx_platform.codecs.avro_failures import Failure
from adx_platform.contracts.dispositions import ReasonCode

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]

PADDING = 16
"""Bytes after the last message, so that a look-ahead never leaves the buffer."""

_CONTINUES = 0x80
_LAST_SHIFT = 63


@dataclass(slots=True)
class Cursor:
    """Places in messages, one per entry; ``pos`` moves as values are read.

    Attributes:
        pos: where the next value starts.
        end: where the message ends.
        message: number of the message in the batch.
        slot: number of the row at the current nesting level that the values belong to.
    """

    pos: Ints
    end: Ints
    message: Ints
    slot: Ints

    def __len__(self) -> int:
        return len(self.pos)

    def take(self, index: Ints) -> Cursor:
        """A cursor of some entries; write ``pos`` back when it has moved."""
        return Cursor(self.pos[index], self.end[index], self.message[index], self.slot[index])


class Messages:
    """The bytes of a batch and what went wrong with which message."""

    def __init__(self, data: Bytes, count: int) -> None:
        """Wrap ``data``, which ends with ``PADDING`` unused bytes."""
        self.data = data
        # Where failed entries wait: reading a zero byte there costs the others nothing.
        self._refuge = len(data) - PADDING
        buffer = data.data
        # Overlapping views: element i is the word that starts at byte i.
        self._words32 = np.ndarray((len(data) - 3,), "<u4", buffer, strides=(1,))
        self._words64 = np.ndarray((len(data) - 7,), "<u8", buffer, strides=(1,))
        self._failure_of = np.full(count, -1, dtype=np.int32)
        self._failures: list[Failure] = []
        self.deferred = np.zeros(count, dtype=np.bool_)

    @property
    def any_failed(self) -> bool:
        """Whether any message has failed so far."""
        return bool(self._failures)

    def failed(self) -> Mask:
        """Per message: it failed or was deferred."""
        return self._failure_of >= 0

    def alive(self, cursor: Cursor) -> Mask:
        """Per entry: its message has not failed."""
        return self._failure_of[cursor.message] < 0

    def failure(self, message: int) -> Failure:
        """The first failure of a message that has failed."""
        return self._failures[int(self._failure_of[message])]

    def fail(self, cursor: Cursor, mask: Mask, code: ReasonCode, reason: str) -> None:
        """Fail the masked entries' messages, unless they have failed before."""
        self.fail_messages(cursor.message[mask], Failure(code, reason))
        cursor.pos[mask] = self._refuge
        cursor.end[mask] = self._refuge

    def fail_messages(self, messages: Ints, failure: Failure) -> None:
        """Fail messages by number, unless they have failed before."""
        fresh = messages[self._failure_of[messages] < 0]
        if len(fresh):
            self._failure_of[fresh] = len(self._failures)
            self._failures.append(failure)

    def defer(self, cursor: Cursor, mask: Mask) -> None:
        """Leave the masked entries' messages to a reader that takes one message at a time."""
        self.deferred[cursor.message[mask]] = True
        self.fail(cursor, mask, ReasonCode.MALFORMED_AVRO, "left to the single-message reader")

    def number(self, cursor: Cursor, path: str) -> Ints:
        """Read a zigzag variable-length long; 0 where it fails."""
        following = cursor.pos + 1
        first = self.data[cursor.pos]
        value = (first & 0x7F).astype(np.uint64)
        open_entries = np.flatnonzero(first >= _CONTINUES)
        too_long = open_entries[:0]
        shift = 7
        while len(open_entries):
            byte = self.data[following[open_entries]]
            value[open_entries] |= (byte & 0x7F).astype(np.uint64) << np.uint64(shift)
            following[open_entries] += 1
            if shift == _LAST_SHIFT:
                # The tenth byte holds the 64th bit and nothing else.
                too_long = open_entries[byte > 1]
                break
            open_entries = open_entries[byte >= _CONTINUES]
            shift += 7
        cursor.pos = following
        if len(too_long):
            mask = np.zeros(len(cursor), dtype=np.bool_)
            mask[too_long] = True
            self.fail(
                cursor, mask, ReasonCode.MALFORMED_AVRO, f"{path}: a number longer than 64 bits"
            )
            value[mask] = 0
        self._check_end(cursor, path, value)
        return (value >> np.uint64(1)).view(np.int64) ^ -(value & np.uint64(1)).view(np.int64)

    def branch(self, cursor: Cursor, branches: int, path: str) -> Ints:
        """Read the number of a union's branch; -1 where it fails."""
        first = self.data[cursor.pos]
        if (first < 2 * branches).all() and branches < _CONTINUES // 2:
            chosen = (first >> 1).astype(np.int64)
            wrong = (first & 1).astype(np.bool_)
            cursor.pos = cursor.pos + 1
            self._check_end(cursor, path)
        else:
            chosen = self.number(cursor, path)
            wrong = (chosen < 0) | (chosen >= branches)
        if wrong.any():
            self.fail(cursor, wrong, ReasonCode.MALFORMED_AVRO, f"{path}: no such union branch")
        if self.any_failed:
            chosen[~self.alive(cursor)] = -1
        return chosen

    def span(self, cursor: Cursor, length: Ints, path: str) -> tuple[Ints, Ints]:
        """Pass over ``length`` bytes; gives their start and length, 0 where it fails."""
        wrong = (length < 0) | (length > cursor.end - cursor.pos)
        if wrong.any():
            self.fail(
                cursor,
                wrong,
                ReasonCode.MALFORMED_AVRO,
                f"{path}: claims more bytes than the message has",
            )
            length = np.where(wrong, 0, length)
        start = cursor.pos
        cursor.pos = start + length
        return start, length

    def fixed_width(self, cursor: Cursor, width: int, path: str) -> Ints:
        """Pass over ``width`` bytes, at most 8, and give their start."""
        start = cursor.pos
        cursor.pos = start + width
        self._check_end(cursor, path)
        return start

    def words32(self, start: Ints) -> npt.NDArray[np.uint32]:
        """The four bytes at each place, little endian."""
        return self._words32[start].astype(np.uint32, copy=False)

    def words64(self, start: Ints) -> npt.NDArray[np.uint64]:
        """The eight bytes at each place, little endian."""
        return self._words64[start].astype(np.uint64, copy=False)

    def _check_end(
        self, cursor: Cursor, path: str, values: npt.NDArray[np.uint64] | None = None
    ) -> None:
        """Fail the entries that have left their message, and set their values to 0."""
        short = cursor.pos > cursor.end
        if short.any():
            reason = f"{path}: the message ends in the middle of the record"
            self.fail(cursor, short, ReasonCode.MALFORMED_AVRO, reason)
            if values is not None:
                values[short] = 0
