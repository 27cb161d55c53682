"""How a contract may change: what a writer's schema may differ in from ours.

Belongs here: the comparison of a writer's Avro schema with the contract's, and the same idea for
JSON objects and CSV headers. Does not belong here: decoding, or deciding what becomes of a message.

Added fields and types that Avro reads as wider ones (int, long, float, double in this order; string
and bytes either way) pass and are noted, and so does an optional contract field that an older
writer does not have. Everything else is incompatible: a required field that is gone or may be null,
a narrower contract type, another type, a lost enum symbol, a renamed field.

A renamed optional field looks like one that is missing and one that was added. It is recognised
where the names differ only in case and separators (``bidId`` for ``bid_id``), because passing it
would silently empty a column; other renames cannot be told from an older writer with an addition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from adx_platform.contracts.avro_types import (
    ArrayType,
    AvroType,
    Enum,
    Fixed,
    InvalidAvroSchemaError,
    MapType,
    Primitive,
    Record,
    Union,
    parse_avro,
)

Kind = Literal["identical", "compatible", "incompatible"]

_WIDER: dict[str, frozenset[str]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}


@dataclass(frozen=True)
class Evolution:
    """What a comparison found; every entry names a field by its path, such as ``imp[].video.w``."""

    kind: Kind
    added: tuple[str, ...] = ()
    """Fields of the writer that the contract does not know; they are not read."""
    widened: tuple[str, ...] = ()
    """``path: written type -> contract type``."""
    missing: tuple[str, ...] = ()
    """Optional contract fields that the writer does not have; they are read as null."""
    problems: tuple[str, ...] = ()
    """Sentences that say why the schema is incompatible."""


@dataclass
class _Findings:
    added: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.added or self.widened or self.missing or self.problems)


def compare(writer_schema: str, reader_schema: str) -> Evolution:
    """Say whether data of a writer's schema can be read under the contract's.

    Args:
        writer_schema: Avro JSON text, as registered by the producer.
        reader_schema: Avro JSON text of the contract.

    Returns:
        ``identical`` when nothing that matters differs (documentation and defaults do not).
    """
    try:
        writer = parse_avro(writer_schema)
    except InvalidAvroSchemaError as error:
        return Evolution("incompatible", problems=(f"the writer's schema is invalid: {error}",))
    return compare_types(writer, parse_avro(reader_schema))


def compare_types(writer: AvroType, reader: AvroType) -> Evolution:
    """:func:`compare` for schemas that are parsed already."""
    findings = _Findings()
    _compare(writer, reader, "", findings)
    kind: Kind = "identical"
    if findings:
        kind = "incompatible" if findings.problems else "compatible"
    return Evolution(
        kind,
        tuple(findings.added),
        tuple(findings.widened),
        tuple(findings.missing),
        tuple(findings.problems),
    )


def noted_fields(present: Iterable[str], contract: Iterable[str]) -> tuple[str, ...]:
    """Names that are present but not in the contract, sorted: they pass and are noted."""
    return tuple(sorted(set(present) - set(contract)))


def is_optional(avro: AvroType) -> bool:
    """True for a union with null."""
    return isinstance(avro, Union) and any(_is_null(branch) for branch in avro.branches)


def type_name(avro: AvroType) -> str:
    """A type as a person would write it."""
    if isinstance(avro, Primitive):
        return f"{avro.name} ({avro.logical})" if avro.logical else avro.name
    if isinstance(avro, ArrayType):
        return f"array of {type_name(avro.items)}"
    if isinstance(avro, MapType):
        return f"map of {type_name(avro.values)}"
    if isinstance(avro, Union):
        return " or ".join(type_name(branch) for branch in avro.branches)
    kind = type(avro).__name__.lower()
    return f"{kind} {avro.full_name}"


def _is_null(avro: AvroType) -> bool:
    return isinstance(avro, Primitive) and avro.name == "null"


def _branches(avro: AvroType) -> tuple[AvroType, ...]:
    return avro.branches if isinstance(avro, Union) else (avro,)


def _compare(writer: AvroType, reader: AvroType, path: str, findings: _Findings) -> None:
    if isinstance(writer, Union) or isinstance(reader, Union):
        _compare_unions(writer, reader, path, findings)
    elif isinstance(writer, Record) and isinstance(reader, Record):
        _compare_records(writer, reader, path, findings)
    elif isinstance(writer, ArrayType) and isinstance(reader, ArrayType):
        _compare(writer.items, reader.items, f"{path}[]", findings)
    elif isinstance(writer, MapType) and isinstance(reader, MapType):
        _compare(writer.values, reader.values, f"{path}{{}}", findings)
    elif isinstance(writer, Enum) and isinstance(reader, Enum):
        _compare_enums(writer, reader, path, findings)
    elif isinstance(writer, Primitive) and isinstance(reader, Primitive):
        _compare_primitives(writer, reader, path, findings)
    elif not (
        isinstance(writer, Fixed) and isinstance(reader, Fixed) and writer.size == reader.size
    ):
        _other_type(writer, reader, path, findings)


def _compare_unions(writer: AvroType, reader: AvroType, path: str, findings: _Findings) -> None:
    for branch in _branches(writer):
        if _is_null(branch):
            if not any(_is_null(option) for option in _branches(reader)):
                findings.problems.append(f"{path or 'the record'} may be null but is required")
            continue
        options = [option for option in _branches(reader) if not _is_null(option)]
        tries: list[_Findings] = []
        for option in options:
            attempt = _Findings(seen=set(findings.seen))
            _compare(branch, option, path, attempt)
            tries.append(attempt)
        if not tries:
            _other_type(branch, reader, path, findings)
            continue
        best = min(tries, key=lambda found: (len(found.problems), len(found.widened)))
        findings.added += best.added
        findings.widened += best.widened
        findings.missing += best.missing
        findings.problems += best.problems


def _compare_records(writer: Record, reader: Record, path: str, findings: _Findings) -> None:
    pair = (id(writer), id(reader))
    if pair in findings.seen:
        return
    findings.seen.add(pair)
    if not path and writer.full_name != reader.full_name:
        findings.problems.append(
            f"the record is called {writer.full_name!r}, not {reader.full_name!r}"
        )
        return
    prefix = f"{path}." if path else ""
    added = [name for name in writer.fields if name not in reader.fields]
    findings.added += [prefix + name for name in added]
    look_alikes = {_plain(name): name for name in added}
    for name, wanted in reader.fields.items():
        written = writer.fields.get(name)
        if written is not None:
            _compare(written.type, wanted.type, prefix + name, findings)
        elif _plain(name) in look_alikes:
            findings.problems.append(
                f"{prefix}{name} was renamed to {prefix}{look_alikes[_plain(name)]}"
            )
        elif is_optional(wanted.type):
            findings.missing.append(prefix + name)
        else:
            findings.problems.append(f"{prefix}{name} is required but the writer does not have it")


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _compare_enums(writer: Enum, reader: Enum, path: str, findings: _Findings) -> None:
    lost = [symbol for symbol in reader.symbols if symbol not in writer.symbols]
    new = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
    if lost:
        findings.problems.append(f"{path} lost the symbols {', '.join(lost)}")
    if new:
        findings.problems.append(f"{path} has symbols the contract lacks: {', '.join(new)}")


def _compare_primitives(
    writer: Primitive, reader: Primitive, path: str, findings: _Findings
) -> None:
    if writer.name == reader.name:
        # A unit that changes is another quantity, though the bytes can be read.
        if writer.logical != reader.logical and reader.logical is not None:
            _other_type(writer, reader, path, findings)
        return
    if reader.name in _WIDER.get(writer.name, ()) and reader.logical is None:
        findings.widened.append(f"{path}: {type_name(writer)} -> {type_name(reader)}")
        return
    if writer.name in _WIDER.get(reader.name, ()):
        findings.problems.append(
            f"{path} is written as {type_name(writer)}, which the contract's "
            f"{type_name(reader)} cannot hold"
        )
        return
    _other_type(writer, reader, path, findings)


def _other_type(writer: AvroType, reader: AvroType, path: str, findings: _Findings) -> None:
    findings.problems.append(
        f"{path or 'the record'} is written as {type_name(writer)}, "
        f"the contract wants {type_name(reader)}"
    )
