"""The slow way for single Avro messages that the columnar reader leaves out.

Belongs here: reading one message at a time with fastavro, for messages that are very large or hold
a very long list. Does not belong here: which messages those are (``avro_nodes``).

fastavro reads no more than the message has, except for lists whose items take no bytes and for
schemas that contain themselves; messages of such schemas are not brought here. It takes numbers
that are too large for their type, which are looked for afterwards, because a frame would silently
hold null for some of them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from adx_platform.codecs.avro_failures import Failure, trailing_bytes
from adx_platform.codecs.avro_writers import Writer
from adx_platform.contracts.avro_types import ArrayType, AvroType, Primitive, Record, Union
from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.json_values import JsonValue

_UNREADABLE = (
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    RecursionError,
    AttributeError,
)


@dataclass(frozen=True, slots=True)
class SingleOutcome:
    """What became of one message: its fields, or why there are none."""

    row: int
    record: dict[str, Any] | None
    failure: Failure | None


def read_singly(bodies: Iterable[tuple[int, bytes]], writer: Writer) -> list[SingleOutcome]:
    """Read Avro bodies one by one.

    Args:
        bodies: row number and the bytes after the frame.
        writer: the schema they were written with; it ``may_read_singly``.

    Returns:
        One outcome per body; times are integers, as if their logical types were not there.
    """
    try:
        schemas = _parsed(writer.schema_json), _parsed(writer.reader_json)
    except (SchemaParseException, UnknownType) as error:
        reason = f"the writer schema is invalid: {error}"
        refused = Failure(ReasonCode.INCOMPATIBLE_SCHEMA, reason)
        return [SingleOutcome(row, None, refused) for row, _ in bodies]
    return [_read(row, body, schemas, writer.reader) for row, body in bodies]


def _read(row: int, body: bytes, schemas: tuple[Any, Any], reader: Record) -> SingleOutcome:
    stream = io.BytesIO(body)
    try:
        record: Any = fastavro.schemaless_reader(stream, *schemas)
    except UnicodeDecodeError:
        failure = Failure(ReasonCode.INVALID_ENCODING, "a text is not valid UTF-8")
        return SingleOutcome(row, None, failure)
    except _UNREADABLE as error:
        failure = Failure(
            ReasonCode.MALFORMED_AVRO, f"the body cannot be read ({type(error).__name__})"
        )
        return SingleOutcome(row, None, failure)
    left = len(body) - stream.tell()
    if left:
        return SingleOutcome(row, None, trailing_bytes(left))
    misfit = _misfit(record, reader, "")
    if misfit is not None:
        failure = Failure(ReasonCode.MALFORMED_AVRO, f"{misfit}: a number that does not fit")
        return SingleOutcome(row, None, failure)
    return SingleOutcome(row, record, None)


def _misfit(value: JsonValue, avro: AvroType, path: str) -> str | None:
    """The path of the first whole number that its type cannot hold."""
    if value is None:
        return None
    if isinstance(avro, Union):
        (avro,) = (branch for branch in avro.branches if branch != Primitive("null"))
    if isinstance(avro, Record) and isinstance(value, dict):
        prefix = f"{path}." if path else ""
        parts = [(value[name], f.type, prefix + name) for name, f in avro.fields.items()]
    elif isinstance(avro, ArrayType) and isinstance(value, list):
        parts = [(item, avro.items, f"{path}[]") for item in value]
    else:
        bits = {"int": 31, "long": 63}.get(avro.name) if isinstance(avro, Primitive) else None
        fits = bits is None or not isinstance(value, int) or -(2**bits) <= value < 2**bits
        return None if fits else path
    return next((found for part in parts if (found := _misfit(*part)) is not None), None)


def _parsed(schema_json: str) -> Any:  # noqa: ANN401 - fastavro's parsed schemas have no type
    schema: Any = _without_logical_types(json.loads(schema_json))
    return fastavro.parse_schema(schema)


def _without_logical_types(schema: JsonValue) -> JsonValue:
    if isinstance(schema, dict):
        return {
            key: value if key == "default" else _without_logical_types(value)
            for key, value in schema.items()
            if key != "logicalType"
        }
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    return schema
