"""What reading a file for sending gives: messages, and the lines that were left out.

Belongs here: these shapes. Does not belong here: any file format (``framing``, ``framing_csv``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from adx_platform.contracts.json_values import JsonValue
from adx_platform.errors import AdxError


class FramedMessage(NamedTuple):
    """One message, ready to be produced.

    ``timestamp_ms`` is the Kafka timestamp in milliseconds since the epoch; None: the time of
    sending.
    """

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A line that was not sent. ``line`` counts from 1; in a JSON array it counts elements."""

    line: int
    reason: str


class UnreadableFileError(AdxError):
    """The file as a whole, or a line that nobody asked to be told of, cannot be sent."""


def key_of(value: JsonValue) -> bytes | None:
    """The Kafka key of an id: its text, or none where it is no text or empty."""
    return value.encode("utf-8", "replace") if isinstance(value, str) and value else None
