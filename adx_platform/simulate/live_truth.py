"""What was really sent, by simulated hour, and what the platform must decide about it.

Belongs here: judging each message as it goes out, by the rules of the contract and without any code
of the platform's, and the counts. Does not belong here: comparing them with the lake.

Messages go out in the order of their Kafka timestamps, so the first one of an event is its winner;
equal bytes later are a duplicate, other bytes a conflict. A message in a schema that is registered
later counts as accepted: it must be, once it was refined again.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import xxhash

from adx_platform.contracts.dispositions import Disposition, ReasonCode
from adx_platform.settings import RefineSettings
from adx_platform.simulate.live_board import append_line
from adx_platform.simulate.live_message import LiveMessage, simulated

HOURS_NAME: Final = "hours.jsonl"
_US: Final = timedelta(microseconds=1)
_HOUR_MS: Final = 3_600_000
# The latest copy of a message follows six hours after it, and it may be late by three days itself.
_REMEMBERED_MS: Final = 80 * _HOUR_MS


class Judge:
    """Decides about messages in the order in which they go out."""

    def __init__(self, bounds: RefineSettings) -> None:
        self._future_us = bounds.future_tolerance // _US
        self._oldest_us = bounds.oldest_accepted // _US
        self._late_us = bounds.late_after // _US
        self._first: dict[str, bytes] = {}
        self._order: deque[tuple[int, str]] = deque()

    def knows(self, event_id: str) -> bool:
        """Whether a good message of the event went out."""
        return event_id in self._first

    def disposition(self, message: LiveMessage) -> tuple[Disposition, str | None]:
        """The verdict, and the reason code of a reject."""
        reason = message.reason or self._time_reason(message)
        if reason is not None:
            return Disposition.REJECTED, reason
        digest = xxhash.xxh3_128_digest(message.value or b"")
        self._forget(message.timestamp_ms)
        first = self._first.get(message.event_id)
        if first is None:
            self._first[message.event_id] = digest
            self._order.append((message.timestamp_ms, message.event_id))
            if not message.sent_before:
                return Disposition.ACCEPTED, None
        same = first == digest if first is not None else message.fault == "duplicate"
        return (Disposition.DUPLICATE if same else Disposition.CONFLICT), None

    def is_late(self, message: LiveMessage) -> bool:
        """Whether a good message comes long after its event."""
        return _behind_us(message) > self._late_us

    def _time_reason(self, message: LiveMessage) -> str | None:
        behind = _behind_us(message)
        if behind < -self._future_us:
            return ReasonCode.EVENT_IN_FUTURE.value
        if behind > self._oldest_us:
            return ReasonCode.EVENT_TOO_OLD.value
        return None

    def _forget(self, now_ms: int) -> None:
        while self._order and self._order[0][0] < now_ms - _REMEMBERED_MS:
            self._first.pop(self._order.popleft()[1], None)


class LiveTruth:
    """Counts by simulated hour; a closed hour is a line of ``hours.jsonl``."""

    def __init__(self, folder: Path, bounds: RefineSettings, *, generation: int) -> None:
        self._path = folder / HOURS_NAME
        self._generation = generation
        self.judge = Judge(bounds)
        self.totals: Counter[str] = Counter()
        self._hour_ms: int | None = None
        self._messages: Counter[str] = Counter()
        self._expected: dict[str, Counter[str]] = {}
        self._reasons: dict[str, Counter[str]] = {}
        self._late: Counter[str] = Counter()

    def note(self, message: LiveMessage) -> None:
        """Count one message that goes out."""
        hour_ms = message.timestamp_ms - message.timestamp_ms % _HOUR_MS
        if hour_ms != self._hour_ms:
            self.close_hour()
            self._hour_ms = hour_ms
        topic = message.topic
        disposition, reason = self.judge.disposition(message)
        self.totals[topic] += 1
        self._messages[topic] += 1
        self._expected.setdefault(topic, Counter())[disposition.value] += 1
        if reason is not None:
            self._reasons.setdefault(topic, Counter())[reason] += 1
        elif self.judge.is_late(message):
            self._late[topic] += 1

    def close_hour(self) -> None:
        """Write what was counted of the current hour; a market that stops writes a part of it."""
        found = self.open_hour()
        if found is not None:
            append_line(self._path, found)
        self._hour_ms = None
        self._messages.clear()
        self._expected.clear()
        self._reasons.clear()
        self._late.clear()

    def open_hour(self) -> dict[str, Any] | None:
        """The line of the current hour as it would be now."""
        if self._hour_ms is None:
            return None
        return {
            "hour": simulated(self._hour_ms).isoformat(),
            "generation": self._generation,
            "messages": dict(self._messages),
            "expected": {topic: dict(counts) for topic, counts in self._expected.items()},
            "reasons": {topic: dict(counts) for topic, counts in self._reasons.items()},
            "late": dict(self._late),
        }


def hour_lines(folder: Path) -> list[dict[str, Any]]:
    """Every line of the file; an hour in which the market was stopped has several."""
    path = folder / HOURS_NAME
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sent_until(folder: Path, end: datetime | None = None) -> Mapping[str, Counter[str]]:
    """Expected dispositions by topic over the closed hours before ``end``."""
    found: dict[str, Counter[str]] = {}
    for line in hour_lines(folder):
        if end is not None and datetime.fromisoformat(line["hour"]) >= end:
            continue
        for topic, counts in line["expected"].items():
            found.setdefault(topic, Counter()).update(counts)
    return found


def _behind_us(message: LiveMessage) -> int:
    if message.event_time_us is None:
        return 0
    return message.timestamp_ms * 1_000 - message.event_time_us
