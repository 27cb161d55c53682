"""An Avro schema as a tree of types with its names resolved.

Belongs here: reading schema JSON into types, and refusing what is no Avro schema. Does not belong
here: comparing two schemas (``evolution``) or reading data (``codecs``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from adx_platform.contracts.json_values import JsonValue

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_DEEPEST_SCHEMA = 64


class InvalidAvroSchemaError(ValueError):
    """The text is not an Avro schema."""


@dataclass(frozen=True)
class Primitive:
    """A primitive type; ``logical`` is its logicalType, if any."""

    name: str
    logical: str | None = None


@dataclass(frozen=True)
class Field:
    """A field of a record."""

    name: str
    type: AvroType
    has_default: bool


@dataclass(eq=False)
class Record:
    """A record; its fields are filled after its name is known, because it may contain itself."""

    full_name: str
    fields: dict[str, Field] = field(default_factory=dict)


@dataclass(frozen=True)
class Enum:
    """An enumeration, its symbols in order."""

    full_name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Fixed:
    """So many bytes."""

    full_name: str
    size: int


@dataclass(frozen=True)
class ArrayType:
    """A list of one type."""

    items: AvroType


@dataclass(frozen=True)
class MapType:
    """Text keys to values of one type."""

    values: AvroType


@dataclass(frozen=True)
class Union:
    """One of several types."""

    branches: tuple[AvroType, ...]


AvroType: TypeAlias = Primitive | Record | Enum | Fixed | ArrayType | MapType | Union


def parse_avro(schema_json: str) -> AvroType:
    """Read a schema's JSON text.

    Raises:
        InvalidAvroSchemaError: it is not JSON or not an Avro schema; the message says where.
    """
    try:
        schema = json.loads(schema_json)
    except (ValueError, RecursionError) as error:
        raise InvalidAvroSchemaError(f"the schema is not JSON: {error}") from error
    return _Parser().parse(schema, namespace="", path="schema")


def least_width(avro: AvroType) -> int:
    """The fewest bytes a value of this type takes; inside itself a record counts as 0."""
    return _least_width(avro, frozenset())


def _least_width(avro: AvroType, inside: frozenset[int]) -> int:
    if isinstance(avro, Record):
        if id(avro) in inside:
            return 0
        within = inside | {id(avro)}
        return sum(_least_width(member.type, within) for member in avro.fields.values())
    if isinstance(avro, Primitive):
        return {"null": 0, "float": 4, "double": 8}.get(avro.name, 1)
    return avro.size if isinstance(avro, Fixed) else 1


def expanded_size(avro: AvroType) -> int:
    """How many types a value may pass through, each use of a named type counted.

    Raises:
        InvalidAvroSchemaError: a record contains itself with no union, array or map between, so
            that no value of it ends.
    """
    return _expanded_size(avro, {}, frozenset(), frozenset())


def _expanded_size(
    avro: AvroType, known: dict[int, int], inside: frozenset[int], unavoidable: frozenset[int]
) -> int:
    if isinstance(avro, Record):
        return _expanded_record(avro, known, inside, unavoidable)
    if isinstance(avro, ArrayType):
        return 1 + _expanded_size(avro.items, known, inside, frozenset())
    if isinstance(avro, MapType):
        return 1 + _expanded_size(avro.values, known, inside, frozenset())
    if isinstance(avro, Union):
        parts = (_expanded_size(branch, known, inside, frozenset()) for branch in avro.branches)
        return 1 + sum(parts)
    return 1


def _expanded_record(
    avro: Record, known: dict[int, int], inside: frozenset[int], unavoidable: frozenset[int]
) -> int:
    identity = id(avro)
    if identity in unavoidable:
        raise InvalidAvroSchemaError(f"the record {avro.full_name!r} always contains itself")
    if identity in inside:
        return 1
    if identity not in known:
        within, always = inside | {identity}, unavoidable | {identity}
        known[identity] = 1 + sum(
            _expanded_size(member.type, known, within, always) for member in avro.fields.values()
        )
    return known[identity]


def is_recursive(avro: AvroType) -> bool:
    """True if a record contains itself, however far down."""
    return _is_recursive(avro, frozenset())


def _is_recursive(avro: AvroType, inside: frozenset[int]) -> bool:
    if isinstance(avro, Record):
        if id(avro) in inside:
            return True
        within = inside | {id(avro)}
        return any(_is_recursive(member.type, within) for member in avro.fields.values())
    return any(_is_recursive(part, inside) for part in _parts(avro))


def has_weightless_items(avro: AvroType) -> bool:
    """True if an array's items may take no bytes, so that a short message can hold any number.

    The type must not be recursive.
    """
    if isinstance(avro, ArrayType) and least_width(avro.items) == 0:
        return True
    return any(has_weightless_items(part) for part in _parts(avro))


def _parts(avro: AvroType) -> tuple[AvroType, ...]:
    if isinstance(avro, Record):
        return tuple(member.type for member in avro.fields.values())
    if isinstance(avro, ArrayType):
        return (avro.items,)
    if isinstance(avro, MapType):
        return (avro.values,)
    return avro.branches if isinstance(avro, Union) else ()


class _Parser:
    """Reads one schema; remembers the names it has defined."""

    def __init__(self) -> None:
        self._named: dict[str, Record | Enum | Fixed] = {}
        self._depth = 0

    def parse(self, schema: JsonValue, namespace: str, path: str) -> AvroType:
        self._depth += 1
        if self._depth > _DEEPEST_SCHEMA:
            raise InvalidAvroSchemaError(f"{path}: nested more than {_DEEPEST_SCHEMA} types deep")
        try:
            if isinstance(schema, str):
                return self._by_name(schema, namespace, path)
            if isinstance(schema, list):
                return self._union(schema, namespace, path)
            if isinstance(schema, dict):
                return self._complex(schema, namespace, path)
        finally:
            self._depth -= 1
        raise InvalidAvroSchemaError(f"{path}: expected a name, a list or an object")

    def _by_name(self, name: str, namespace: str, path: str) -> AvroType:
        if name in PRIMITIVES:
            return Primitive(name)
        known = self._named.get(_full_name(name, namespace)) or self._named.get(name)
        if known is None:
            raise InvalidAvroSchemaError(f"{path}: there is no type {name!r}")
        return known

    def _union(self, schema: list[Any], namespace: str, path: str) -> Union:
        branches = tuple(
            self.parse(branch, namespace, f"{path}[{number}]")
            for number, branch in enumerate(schema)
        )
        if not branches or any(isinstance(branch, Union) for branch in branches):
            raise InvalidAvroSchemaError(f"{path}: a union needs types that are not unions")
        return Union(branches)

    def _complex(self, schema: dict[str, Any], namespace: str, path: str) -> AvroType:
        kind = schema.get("type")
        if kind == "array":
            return ArrayType(self.parse(schema.get("items"), namespace, f"{path}[]"))
        if kind == "map":
            return MapType(self.parse(schema.get("values"), namespace, f"{path}{{}}"))
        if kind in ("record", "error", "enum", "fixed"):
            return self._define(kind, schema, namespace, path)
        if isinstance(kind, str) and kind in PRIMITIVES:
            logical = schema.get("logicalType")
            return Primitive(kind, logical if isinstance(logical, str) else None)
        if kind is None:
            raise InvalidAvroSchemaError(f"{path}: an object needs a type")
        return self.parse(kind, namespace, path)

    def _define(self, kind: str, schema: dict[str, Any], namespace: str, path: str) -> AvroType:
        name = schema.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidAvroSchemaError(f"{path}: a {kind} needs a name")
        inner = schema.get("namespace", namespace)
        full_name = _full_name(name, inner if isinstance(inner, str) else "")
        if full_name in self._named:
            raise InvalidAvroSchemaError(f"{path}: the name {full_name!r} is defined twice")
        if kind == "enum":
            return self._remember(full_name, Enum(full_name, _symbols(schema, path)))
        if kind == "fixed":
            size = schema.get("size")
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise InvalidAvroSchemaError(f"{path}: a fixed needs a size")
            return self._remember(full_name, Fixed(full_name, size))
        record = Record(full_name)
        self._remember(full_name, record)
        self._fill(record, schema.get("fields"), path)
        return record

    def _remember(self, full_name: str, named: Record | Enum | Fixed) -> AvroType:
        self._named[full_name] = named
        return named

    def _fill(self, record: Record, fields: JsonValue, path: str) -> None:
        if not isinstance(fields, list):
            raise InvalidAvroSchemaError(f"{path}: a record needs a list of fields")
        namespace = record.full_name.rpartition(".")[0]
        for entry in fields:
            name = entry.get("name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name or name in record.fields:
                raise InvalidAvroSchemaError(f"{path}: a field needs a name of its own")
            kind = self.parse(entry.get("type"), namespace, f"{path}.{name}")
            record.fields[name] = Field(name, kind, "default" in entry)


def _symbols(schema: dict[str, Any], path: str) -> tuple[str, ...]:
    symbols = schema.get("symbols")
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise InvalidAvroSchemaError(f"{path}: an enum needs a list of symbols")
    return tuple(symbols)


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
