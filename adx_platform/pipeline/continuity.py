"""Is the broker's topic still the one we landed? Checked before any range of it is read.

Belongs here: comparing the broker's record at the last landed message with the landed one. Does
not belong here: planning, which only sees offsets. Offsets do not tell: a topic that was reset and
filled again while nobody polled passes every comparison of offsets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import Stream
from adx_platform.lake.reading import (
    Snapshot,
    StoredMessage,
    events_snapshot,
    last_message,
    last_refined_message,
    payload_fingerprint,
)
from adx_platform.pipeline.platform import Platform
from adx_platform.streams.errors import TopicReplaced
from adx_platform.streams.topics import Watermarks


def is_same_topic(platform: Platform, stream: Stream, topic_id: str) -> bool:
    """Whether the broker's topic still is ``topic_id``.

    To be asked **after** a range was read as well as before: a reader knows topics by name only, so
    one that is deleted and created again in between gives the new one's records. Identities never
    come back: what is the same before and after was the same all the while.

    Raises:
        UnknownTopic: there is no such topic any more.
        StreamError: the broker does not answer.
    """
    return platform.kafka.describe(stream.topic).topic_id == topic_id


class ContinuityCheck:
    """Compares before every batch; remembers the last message of each partition in between."""

    def __init__(self, platform: Platform, stream: Stream, topic_id: str) -> None:
        self._platform = platform
        self._stream = stream
        self._topic_id = topic_id
        self._known: dict[int, tuple[int, StoredMessage]] = {}

    def require_same_topic(
        self,
        landing: Snapshot,
        committed: Mapping[int, int | None],
        watermarks: Mapping[int, Watermarks],
    ) -> None:
        """Compare the last landed message of each partition with the broker's.

        A message that the broker has removed since (retention, compaction) cannot be compared, nor
        can a partition without any message.

        Args:
            landing: the landing as of planning.
            committed: partition -> next offset to land.
            watermarks: what the broker holds.

        Raises:
            TopicReplaced: the records differ; nothing was read.
            RangeUnavailable: the broker truncated the record in this moment; plan again.
        """
        comparable = {}
        for partition, offset in committed.items():
            stored = self._stored(landing, partition, offset) if offset else None
            marks = watermarks.get(partition)
            if stored and marks and marks.low <= stored.offset < marks.last_stable:
                comparable[partition] = stored
        if not comparable:
            return
        with self._platform.reader(self._stream.topic, self._topic_id) as reader:
            rows = reader.read(
                [OffsetRange(p, m.offset, m.offset + 1) for p, m in comparable.items()]
            )
        for partition, gap, time_ms, value in rows.select(
            "partition", "gap_kind", rows["kafka_timestamp"].dt.epoch("ms"), "value"
        ).iter_rows():
            if gap is None:
                self._compare(partition, comparable[partition], time_ms, value)

    def remember(self, raw: pl.DataFrame, ranges: Iterable[OffsetRange]) -> None:
        """Keep the last message of what was just landed, so that nobody has to read it again.

        Args:
            raw: the landed rows.
            ranges: what they account for; their ends are the committed offsets now.
        """
        messages = raw.filter(pl.col("gap_kind").is_null())
        newest = messages.group_by("partition").agg(
            pl.col("offset", "kafka_timestamp", "value").top_k_by("offset", 1).first()
        )
        last = {
            partition: StoredMessage(offset, time_ms, payload_fingerprint(value))
            for partition, offset, time_ms, value in newest.select(
                "partition", "offset", pl.col("kafka_timestamp").dt.epoch("ms"), "value"
            ).iter_rows()
        }
        for item in ranges:
            if item.partition in last:
                self._known[item.partition] = (item.end, last[item.partition])
            elif self._known.get(item.partition, (None,))[0] == item.start:
                # Only gaps came: the last message still is the one before them.
                self._known[item.partition] = (item.end, self._known[item.partition][1])

    def _stored(self, landing: Snapshot, partition: int, offset: int) -> StoredMessage | None:
        known = self._known.get(partition)
        if known is not None and known[0] == offset:
            return known[1]
        found = last_message(landing, self._topic_id, partition, offset)
        if found is None:
            # The landing keeps raw bytes for days only; the refined rows keep their hash.
            events = events_snapshot(
                self._platform.storage, self._stream.topic, self._stream.events_schema
            )
            if events is not None:
                found = last_refined_message(events, self._topic_id, partition, offset)
        if found is not None:
            self._known[partition] = (offset, found)
        return found

    def _compare(
        self, partition: int, stored: StoredMessage, time_ms: int | None, value: bytes | None
    ) -> None:
        if StoredMessage(stored.offset, time_ms, payload_fingerprint(value)) == stored:
            return
        raise TopicReplaced(
            f"topic {self._stream.topic!r}, partition {partition}: the broker's record at offset "
            f"{stored.offset} is not the one that was landed. The topic was created anew or "
            "restored from a backup under the same identity; its offsets would be mixed with "
            "those in the lake. Nothing was read. Check ADX_KAFKA__BOOTSTRAP_SERVERS, restore the "
            "broker's data, or start a new lake (ADX_LAKE__URI)."
        )
