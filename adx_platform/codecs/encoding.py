"""The write side: records to message bytes in the three wire formats.

Belongs here: what the simulator and ``adx produce`` need to write one message. Does not belong
here: reading files (``framing``), sending (``streams.producer``), or any check of the content
beyond what the format itself needs.
"""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import fastavro
import msgspec

from adx_platform.contracts.avro_schemas import avro_schema
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION
from adx_platform.contracts.openrtb import shred

MAGIC = b"\x00"
"""First byte of the Confluent frame; four bytes of schema id (big endian) follow."""
FRAME_BYTES = 5

_encode_json = msgspec.json.Encoder().encode


def confluent_frame(schema_id: int) -> bytes:
    """The five bytes before an Avro body."""
    return MAGIC + struct.pack(">I", schema_id)


@lru_cache(maxsize=64)
def _parsed(schema_json: str) -> str | list[Any] | dict[str, Any]:
    return fastavro.parse_schema(json.loads(schema_json))


def encode_avro(
    record_name: str,
    records: Iterable[Mapping[str, Any]],
    schema_id: int,
    schema: str | None = None,
) -> list[bytes]:
    """Avro messages in the Confluent frame.

    Args:
        record_name: ``BidRequest``, ``BidResponse`` or ``BidNotice``.
        records: field values; times are integer microseconds since the epoch, optional fields may
            be left out.
        schema_id: the writer schema's id in the registry.
        schema: the writer schema's JSON text; absent: the contract's current version.

    Raises:
        ValueError: a record does not fit the schema; the message says which and why.
    """
    parsed = _parsed(avro_schema(record_name) if schema is None else schema)
    frame = confluent_frame(schema_id)
    messages: list[bytes] = []
    for position, record in enumerate(records):
        buffer = io.BytesIO()
        buffer.write(frame)
        try:
            fastavro.schemaless_writer(buffer, parsed, record)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(
                f"record {position} does not fit the schema of {record_name}: {error}"
            ) from error
        messages.append(buffer.getvalue())
    return messages


def bid_request_record(
    openrtb: Mapping[str, Any], *, exchange_id: str, event_id: str, received_at_us: int
) -> dict[str, Any]:
    """The BidRequest record of an OpenRTB object, for :func:`encode_avro`.

    Args:
        openrtb: any JSON object; what has no column goes into the extension.
        exchange_id: the exchange it came from.
        event_id: identity of the event.
        received_at_us: microseconds since the epoch, UTC.
    """
    return {
        "event_id": event_id,
        "exchange_id": exchange_id,
        "received_at": received_at_us,
        **shred(openrtb),
    }


def frame_openrtb(
    openrtb: Mapping[str, Any],
    *,
    exchange_id: str,
    event_id: str,
    received_at_us: int,
    schema_id: int,
) -> bytes:
    """One OpenRTB bid request as a framed Avro message; see :func:`bid_request_record`."""
    record = bid_request_record(
        openrtb, exchange_id=exchange_id, event_id=event_id, received_at_us=received_at_us
    )
    return encode_avro("BidRequest", [record], schema_id)[0]


def encode_impression(event: Mapping[str, Any]) -> bytes:
    """An impression event as compact UTF-8 JSON, members in the given order."""
    return _encode_json(event)


def encode_click_conversion(event: Mapping[str, Any], version: int) -> bytes:
    """A click or conversion as one CSV line without a line end.

    Args:
        event: wire values by column name; None or a missing column is an empty cell, booleans are
            written ``true`` and ``false``.
        version: contract version, which fixes the columns; send it in the ``contract_version``
            header.

    Raises:
        ValueError: no such version, or a name that is not a column of it.
    """
    columns = columns_of_version(version)
    unknown = event.keys() - set(columns)
    if unknown:
        raise ValueError(f"not columns of contract version {version}: {', '.join(sorted(unknown))}")
    return csv_line([_cell(event.get(column)) for column in columns])


def columns_of_version(version: int) -> tuple[str, ...]:
    """The CSV columns of a contract version.

    Raises:
        ValueError: there is no such version.
    """
    columns = CSV_COLUMNS_BY_VERSION.get(version)
    if columns is None:
        known = ", ".join(str(number) for number in CSV_COLUMNS_BY_VERSION)
        raise ValueError(f"no contract version {version} of clicks_conversions; there is {known}")
    return columns


def csv_line(cells: Sequence[str]) -> bytes:
    """One RFC 4180 line, quoted only where needed, without a line end."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue().encode()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
