"""What every codec returns: the rows that decoded, and the rows that did not with their reason.

Belongs here: the shape of that answer. Does not belong here: any wire format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from adx_platform.contracts.dispositions import ReasonCode

REJECTS_SCHEMA = pl.Schema(
    {
        "row": pl.UInt32,
        "reason_code": pl.String,
        "reason": pl.String,
        "record_type": pl.String,
        "schema_id": pl.Int32,
        "event_id": pl.String,
    }
)


class Reject(NamedTuple):
    """One message that did not decode. ``reason`` never quotes the message's content."""

    row: int
    code: ReasonCode
    reason: str
    record_type: str | None = None
    schema_id: int | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """The outcome of decoding a series of messages; every input row is in exactly one frame.

    Attributes:
        frame: ``row`` (UInt32, index into the input series) and the wire columns; ascending by row,
            but writer after writer where a codec has several.
        rejects: ``REJECTS_SCHEMA``, ``row`` ascending.
        noted: what differs from the contract and was let pass: names of fields that it does not
            know, and ``path: written type -> contract type`` where a type was widened.
    """

    frame: pl.DataFrame
    rejects: pl.DataFrame
    noted: tuple[str, ...] = field(default=())


def rejects_frame(rejects: Sequence[Reject]) -> pl.DataFrame:
    """``rejects`` as a frame of ``REJECTS_SCHEMA``, sorted by row."""
    return pl.DataFrame(
        [(r.row, str(r.code), *r[2:]) for r in sorted(rejects, key=lambda r: r.row)],
        schema=REJECTS_SCHEMA,
        orient="row",
    )
