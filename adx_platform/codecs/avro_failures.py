"""Why one Avro message did not decode.

Belongs here: the shape of that answer, shared by the readers. Does not belong here: numbers of
rows or schemas (``result``).
"""

from __future__ import annotations

from dataclasses import dataclass

from adx_platform.contracts.dispositions import ReasonCode


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message did not decode; ``reason`` never quotes its content."""

    code: ReasonCode
    reason: str


def trailing_bytes(left: int) -> Failure:
    """The failure of a message with ``left`` bytes after its record."""
    return Failure(ReasonCode.TRAILING_BYTES, f"{left} bytes are left after the record")
