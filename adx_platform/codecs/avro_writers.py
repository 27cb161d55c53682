"""What the platform thinks of a writer schema, worked out once per schema.

Belongs here: which record type it is, whether it can be resolved to the contract, and whether its
messages may be read singly. Does not belong here: the comparison rules (``contracts.evolution``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from adx_platform.codecs.avro_failures import Failure
from adx_platform.contracts.avro_schemas import RECORD_TYPE_BY_NAME, avro_schema
from adx_platform.contracts.avro_types import (
    InvalidAvroSchemaError,
    Record,
    expanded_size,
    has_weightless_items,
    is_recursive,
    parse_avro,
)
from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.contracts.evolution import compare_types

_LARGEST_SCHEMA = 20_000
"""Types in a writer schema, each use counted; the contract's largest has a few hundred."""


@dataclass(frozen=True)
class RefusedWriter:
    """A schema whose messages cannot be read."""

    failure: Failure
    record_type: str | None = None


@dataclass(frozen=True)
class Writer:
    """A schema whose messages can be read.

    Attributes:
        record_type: what its messages are.
        schema_json: the schema as registered.
        record: the same, parsed.
        reader_json: the contract.
        reader: the same, parsed.
        noted: fields that the contract does not know, and types that it has wider.
        may_read_singly: a reader that trusts list counts and recursion is safe with it.
    """

    record_type: str
    schema_json: str
    record: Record
    reader_json: str
    reader: Record
    noted: tuple[str, ...]
    may_read_singly: bool


@lru_cache(maxsize=256)
def judge_writer(schema_json: str) -> Writer | RefusedWriter:
    """Judge a writer schema against the contract of the record it names."""
    try:
        record = parse_avro(schema_json)
        size = expanded_size(record)
    except InvalidAvroSchemaError as error:
        return _incompatible(f"the writer schema is invalid: {error}")
    if size > _LARGEST_SCHEMA:
        return _incompatible(f"the writer schema has more than {_LARGEST_SCHEMA} types")
    if not isinstance(record, Record):
        return _incompatible("the writer schema is not a record")
    record_type = RECORD_TYPE_BY_NAME.get(record.full_name)
    if record_type is None:
        known = ", ".join(RECORD_TYPE_BY_NAME)
        reason = f"the record {record.full_name!r} is none of {known}"
        return RefusedWriter(Failure(ReasonCode.UNKNOWN_RECORD_TYPE, reason))
    reader_json = avro_schema(record.full_name.rpartition(".")[2])
    reader = parse_avro(reader_json)
    if not isinstance(reader, Record):
        raise TypeError(f"the contract of {record.full_name} is not a record")
    evolution = compare_types(record, reader)
    if evolution.problems:
        return _incompatible("; ".join(evolution.problems), record_type)
    return Writer(
        record_type,
        schema_json,
        record,
        reader_json,
        reader,
        (*evolution.added, *evolution.widened),
        may_read_singly=not is_recursive(record) and not has_weightless_items(record),
    )


def _incompatible(reason: str, record_type: str | None = None) -> RefusedWriter:
    return RefusedWriter(Failure(ReasonCode.INCOMPATIBLE_SCHEMA, reason), record_type)
