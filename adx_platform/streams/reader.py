"""Reading exactly the planned ranges of a topic, by assignment, never by a consumer group.

Belongs here: the consumer, its positions, stalls and the end of a range. Does not belong here:
what the rows look like (``frames``), what to read (``planner``), and committing anything.

A range is finished when the consumer's position has passed its end: by a later message, or by the
broker's end-of-partition event. The last message seen proves nothing, since control records,
aborted transactions and compacted offsets have no message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from types import TracebackType
from typing import Final, Self

import polars as pl
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.settings import KafkaSettings
from adx_platform.streams.admin import fetch_metadata
from adx_platform.streams.client import (
    LARGEST_RESPONSE,
    ErrorLog,
    as_stream_error,
    client_config,
    open_client,
)
from adx_platform.streams.cursor import PartitionCursor
from adx_platform.streams.errors import RangeUnavailable, ReadStalled
from adx_platform.streams.fingerprint import fingerprint
from adx_platform.streams.frames import MessageColumns, raw_frame

logger = logging.getLogger(__name__)

_BATCH: Final = 10_000
# With several partitions the missing messages may queue behind those of a finished one.
_SMALL_BATCH: Final = 1_000
_WAIT_SECONDS: Final = 0.1
# Messages that came for a finished range while others were still read. They serve the next range
# of the partition; beyond this many bytes fetching them again is cheaper than holding them.
_LEFTOVER_BYTES: Final = 32 * 1024 * 1024
_GROUP: Final = "adx-range-reader"  # librdkafka wants a name; nothing joins or commits under it


class RangeReader:
    """Reads ranges of one topic; ranges that follow each other need no new connection.

    Use it as a context manager. It is not thread-safe; several readers may read the same topic.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        topic_id: str,
        *,
        idle_timeout_seconds: float = 30.0,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._topic_id = topic_id
        self._idle_timeout = idle_timeout_seconds
        self._errors = ErrorLog()
        self._consumer: Consumer | None = None
        self._cursors: dict[int, PartitionCursor] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection; reading again opens a new one."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None
        self._cursors = {}

    def rest(self) -> None:
        """Fetch nothing more until the next read; what was fetched ahead and the connection stay.

        For a reader that has caught up: a client that waits for the next message asks the broker
        again and again (measured on the embedded broker: 30,000 times a second, half a core).
        """
        self._put_aside()
        for partition, cursor in self._cursors.items():
            if cursor.assigned:
                self._unassign(partition)

    def read(
        self,
        ranges: Iterable[OffsetRange],
        *,
        losses: Iterable[OffsetRange] = (),
        max_bytes: int | None = None,
    ) -> pl.DataFrame:
        """Read ``ranges`` and account for each of their offsets.

        Args:
            ranges: at most one per partition; empty ones are ignored.
            losses: ranges that the planner found truncated; they become ``lost`` gap rows.
            max_bytes: stop early once the values together reach this size. The rows then cover a
                beginning of each range (``frames.covered_ranges`` tells which), at least one
                message; the bound is overshot by at most what the client had fetched.

        Returns:
            Rows of ``RAW_SCHEMA``, sorted by (partition, offset): one per message, one per run of
            offsets without message.

        Raises:
            RangeUnavailable: a range starts before the broker's first offset or after its last.
            ReadStalled: the broker said nothing for ``idle_timeout_seconds``.
            BrokerUnreachable: nothing answers at all.
            AuthenticationFailed: the credentials were refused.
            UnknownTopic: the topic or the partition does not exist.
            ValueError: two ranges are of one partition.
        """
        wanted = [item for item in ranges if item.count]
        targets = {item.partition: item for item in wanted}
        if len(targets) != len(wanted):
            raise ValueError("read at most one range per partition at a time; merge or split them")
        found = {partition: MessageColumns() for partition in targets}
        if targets:
            self._open_at(wanted)
            self._collect(targets, found, max_bytes)
        done = [self._covered(item, found[item.partition]) for item in wanted]
        return raw_frame(self._topic_id, found, done, losses)

    def fingerprint_at(self, partition: int, offset: int) -> str | None:
        """Fingerprint of the broker's record at ``offset``; None where that offset has no message.

        Raises:
            RangeUnavailable: the broker no longer has, or does not have yet, that offset.
            ReadStalled: the broker said nothing for ``idle_timeout_seconds``.
        """
        rows = self.read([OffsetRange(partition, offset, offset + 1)])
        if rows["gap_kind"][0] is not None:
            return None
        millis = rows["kafka_timestamp"].dt.epoch("ms")[0]
        return fingerprint(millis, rows["value"][0])

    def _open_at(self, ranges: Sequence[OffsetRange]) -> None:
        known = [(item, self._cursors.get(item.partition)) for item in ranges]
        if any(cursor and cursor.position != item.start for item, cursor in known):
            # A jump: only a fresh consumer is sure to hold nothing of the old position. (It also
            # avoids brokers that leave a waiting consumer without what a transaction committed.)
            self.close()
        self._errors.clear()
        if self._consumer is None:
            self._consumer = self._new_consumer()
        wanted = {item.partition for item in ranges}
        for partition, cursor in self._cursors.items():
            if cursor.assigned and partition not in wanted:
                self._unassign(partition)
        for item in ranges:
            self._cursors.setdefault(item.partition, PartitionCursor(item.start, item.start))
            self._assign(item.partition)

    def _collect(
        self,
        targets: dict[int, OffsetRange],
        found: dict[int, MessageColumns],
        max_bytes: int | None,
    ) -> None:
        """Fill ``found`` until every target is passed, or ``max_bytes`` are reached."""
        for partition, target in targets.items():
            cursor = self._cursors[partition]
            self._take(cursor.take_leftover(), target, found[partition])
        last_heard = time.monotonic()
        patience = self._idle_timeout / 2
        may_reconnect = True
        while remaining := self._remaining(targets):
            if max_bytes is not None and sum(c.value_bytes for c in found.values()) >= max_bytes:
                return
            batch = self._fetch(remaining if len(targets) == 1 else max(remaining, _SMALL_BATCH))
            if self._dispatch(batch, targets, found):
                last_heard = time.monotonic()
                may_reconnect = True
            elif self._errors.is_hopeless:
                raise self._stalled(targets)
            elif time.monotonic() - last_heard > patience:
                if not may_reconnect:
                    raise self._stalled(targets)
                may_reconnect = False
                self._reconnect(targets)
                last_heard = time.monotonic()

    def _remaining(self, targets: dict[int, OffsetRange]) -> int:
        """Offsets that are still to be passed, over all targets."""
        return sum(
            target.end - min(target.end, max(cursor.position, cursor.reached))
            for target, cursor in ((item, self._cursors[p]) for p, item in targets.items())
        )

    def _fetch(self, at_most: int) -> list[Message]:
        """What is there now, up to ``at_most`` messages; waits shortly if there is nothing."""
        if self._consumer is None:
            return []
        batch = self._consumer.consume(min(_BATCH, at_most), timeout=0)
        return batch or self._consumer.consume(1, timeout=_WAIT_SECONDS)

    def _dispatch(
        self,
        batch: list[Message],
        targets: dict[int, OffsetRange],
        found: dict[int, MessageColumns],
    ) -> bool:
        """Take what was fetched; True if it brought any partition further."""
        # In C, by runs of one partition: touching each message took a tenth of a landing's CPU.
        pairs = zip(batch, map(Message.error, batch), strict=True)
        events = [message for message, error in pairs if error is not None]
        heard = sum(map(self._note, events)) > 0
        batch = [item for item in batch if item.error() is None] if events else batch
        by_partition: dict[int, list[Message]] = {}
        for partition, run in groupby(batch, Message.partition):
            by_partition.setdefault(partition or 0, []).extend(run)
        for partition, messages in by_partition.items():
            if partition in targets and self._cursors[partition].assigned:
                self._take(messages, targets[partition], found[partition])
        return heard or bool(by_partition)

    def _put_aside(self) -> None:
        """Keep what the client has fetched ahead: it would fetch it again."""
        ahead = {p: c for p, c in self._cursors.items() if c.assigned}
        nowhere = {p: OffsetRange(p, c.position, c.position) for p, c in ahead.items()}
        while self._consumer is not None and any(c.assigned for c in ahead.values()):
            batch = self._consumer.consume(_BATCH, timeout=0)
            # An event comes again when the partition is assigned again.
            messages = [message for message in batch if message.error() is None]
            if not messages:
                return
            self._dispatch(messages, nowhere, {p: MessageColumns() for p in ahead})

    def _take(self, messages: list[Message], target: OffsetRange, into: MessageColumns) -> None:
        """Put what belongs to ``target`` into ``into`` and the rest aside."""
        cursor = self._cursors[target.partition]
        cursor.take(messages, target.end, into)
        if cursor.leftover_bytes > _LEFTOVER_BYTES and cursor.assigned:
            self._unassign(target.partition)

    def _note(self, event: Message) -> bool:
        """Handle an event that came in a message's place; True if it moved the partition on."""
        error = event.error()
        partition, offset = event.partition(), event.offset()
        if error is None or partition is None:
            return False
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's own name for it
            cursor = self._cursors.get(partition)
            if cursor is None or offset is None or offset <= cursor.reached:
                # Every new connection says it again: that is no progress.
                return False
            cursor.reached = offset
            return True
        if code == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - the library's name
            raise RangeUnavailable(
                f"offset {offset} of partition {partition} of topic {self._topic!r} is not at the "
                "broker: it was truncated after the range was planned, or the topic was created "
                "anew. Plan again; what is gone is then recorded as lost."
            )
        if code in _FATAL_CODES or error.fatal():
            raise as_stream_error(
                error, self._settings, doing=f"read topic {self._topic!r}", topic=self._topic
            )
        logger.warning("reading topic %s: %s", self._topic, error.str())
        self._errors(error)
        return False

    def _covered(self, item: OffsetRange, columns: MessageColumns) -> OffsetRange:
        """The part of ``item`` that was passed, and move the cursor behind it."""
        cursor = self._cursors[item.partition]
        if max(cursor.position, cursor.reached) >= item.end:
            end = item.end
        else:
            end = columns.next_offset or item.start
        cursor.position = end
        return OffsetRange(item.partition, item.start, end)

    def _stalled(self, targets: dict[int, OffsetRange]) -> Exception:
        doing = f"read topic {self._topic!r}"
        if self._errors.is_hopeless:
            return as_stream_error(self._errors.cause, self._settings, doing=doing)
        open_ranges = ", ".join(
            f"{item} (at {self._cursors[p].position})"
            for p, item in targets.items()
            if max(self._cursors[p].position, self._cursors[p].reached) < item.end
        )
        cause = self._errors.cause
        detail = (
            f" Last error: {as_stream_error(cause, self._settings, doing=doing)}." if cause else ""
        )
        return ReadStalled(
            f"nothing came from topic {self._topic!r} for {self._idle_timeout:g} s; unfinished: "
            f"{open_ranges}.{detail} Nothing was stored; the same range can be read again."
        )

    def _reconnect(self, targets: dict[int, OffsetRange]) -> None:
        """Go on with a fresh consumer where the old one has been silent for too long."""
        logger.warning("nothing came from topic %s for a while: reconnecting", self._topic)
        cursors = self._cursors
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = self._new_consumer()
        self._cursors = {
            p: PartitionCursor(cursors[p].position, cursors[p].position) for p in targets
        }
        for partition in targets:
            self._assign(partition)

    def _new_consumer(self) -> Consumer:
        tunable = {
            "group.id": _GROUP,
            "receive.message.max.bytes": LARGEST_RESPONSE,
            "fetch.queue.backoff.ms": 10,
        }
        # What exactly-once rests on; `client_options` cannot change it.
        fixed = {
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
        }
        shared = client_config(self._settings, self._errors, client_id="adx-reader")
        made = open_client(Consumer, tunable | shared | fixed, self._settings)
        # Say now what otherwise is a stall: nobody answers, or the topic does not exist.
        fetch_metadata(
            made,
            self._settings,
            self._errors,
            doing=f"read topic {self._topic!r}",
            topic=self._topic,
        )
        return made

    def _assign(self, partition: int) -> None:
        cursor = self._cursors[partition]
        if self._consumer is None or cursor.assigned:
            return
        # Beyond what was put aside, so that nothing is delivered twice.
        self._consumer.incremental_assign(
            [TopicPartition(self._topic, partition, cursor.next_to_fetch)]
        )
        cursor.assigned = True

    def _unassign(self, partition: int) -> None:
        if self._consumer is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])
        self._cursors[partition].assigned = False


def read_ranges(
    settings: KafkaSettings,
    topic: str,
    topic_id: str,
    ranges: Iterable[OffsetRange],
    *,
    idle_timeout_seconds: float,
    losses: Iterable[OffsetRange] = (),
    max_bytes: int | None = None,
) -> pl.DataFrame:
    """Read ``ranges`` over a connection of their own; see :meth:`RangeReader.read`."""
    with RangeReader(
        settings, topic, topic_id, idle_timeout_seconds=idle_timeout_seconds
    ) as reader:
        return reader.read(ranges, losses=losses, max_bytes=max_bytes)


_FATAL_CODES = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the library's name
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - the library's name
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)
