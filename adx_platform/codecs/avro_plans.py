"""A writer schema compiled for reading its messages into the contract's columns.

Belongs here: pairing the types of a writer schema with the columns of the reader schema. Does not
belong here: reading (``avro_nodes``), or whether the two schemas fit (``contracts.evolution``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from adx_platform.codecs.avro_nodes import (
    BlocksNode,
    BooleanNode,
    EnumNode,
    FixedNode,
    FloatNode,
    Node,
    NullNode,
    NumberNode,
    RecordNode,
    TextNode,
    UnionNode,
)
from adx_platform.codecs.avro_sinks import ListSink, NumberSink, Sink, StructSink, TextSink
from adx_platform.contracts.avro_types import (
    ArrayType,
    AvroType,
    Enum,
    MapType,
    Primitive,
    Record,
    Union,
)


@dataclass
class Plan:
    """A compiled schema, for one use: its sinks take the values of one batch."""

    node: Node
    sink: StructSink


def compile_plan(writer: Record, reader: Record) -> Plan:
    """Prepare to read messages of ``writer`` into columns of ``reader``.

    The two must be compatible (``contracts.evolution.compare_types``).
    """
    sink = _sink(reader, reader.full_name.rpartition(".")[2], "")
    if not isinstance(sink, StructSink):
        raise TypeError("the reader schema is not a record")
    return Plan(_Compiler().node(writer, reader, sink, ""), sink)


_NUMBER_SINKS: dict[str, Callable[[], NumberSink]] = {
    "int": lambda: NumberSink(np.int32, pa.int32()),
    "long": lambda: NumberSink(np.int64, pa.int64()),
    "float": lambda: NumberSink(np.float32, pa.float32()),
    "double": lambda: NumberSink(np.float64, pa.float64()),
    "boolean": lambda: NumberSink(np.bool_, pa.bool_()),
}


def _sink(reader: AvroType, name: str, path: str) -> Sink:
    """The column that a contract type becomes; the contract uses only these types."""
    if isinstance(reader, Union):
        (reader,) = (branch for branch in reader.branches if branch != Primitive("null"))
    if isinstance(reader, Record):
        prefix = f"{path}." if path else ""
        return StructSink(
            {
                field.name: _sink(field.type, field.name, prefix + field.name)
                for field in reader.fields.values()
            }
        )
    if isinstance(reader, ArrayType):
        return ListSink(_sink(reader.items, name, f"{path}[]"))
    if isinstance(reader, Primitive) and reader.logical == "timestamp-micros":
        return NumberSink(np.int64, pa.timestamp("us", "UTC"))
    if isinstance(reader, Primitive) and reader.name in _NUMBER_SINKS:
        return _NUMBER_SINKS[reader.name]()
    if isinstance(reader, Primitive) and reader.name in ("string", "bytes"):
        return TextSink(reader.name == "string", path)
    raise TypeError(f"{path}: the contract has no column for this type")


class _Compiler:
    def __init__(self) -> None:
        self._passed_over: dict[str, RecordNode] = {}

    def node(self, writer: AvroType, reader: AvroType | None, sink: Sink | None, path: str) -> Node:
        """The node of a written type; ``sink`` is None for what is passed over."""
        if isinstance(writer, Union):
            return UnionNode(path, [self.node(b, reader, sink, path) for b in writer.branches])
        if isinstance(reader, Union):
            (reader,) = (branch for branch in reader.branches if branch != Primitive("null"))
        if isinstance(writer, Record):
            return self._record(writer, reader, sink, path)
        if isinstance(writer, ArrayType | MapType):
            return self._blocks(writer, reader, sink, path)
        if isinstance(writer, Primitive):
            return self._primitive(writer.name, sink, path)
        if isinstance(writer, Enum):
            return EnumNode(path, len(writer.symbols))
        return FixedNode(path, writer.size)

    def _blocks(
        self, writer: ArrayType | MapType, reader: AvroType | None, sink: Sink | None, path: str
    ) -> BlocksNode:
        if isinstance(writer, MapType):
            value_path = f"{path}{{}}"
            value = self.node(writer.values, None, None, value_path)
            return BlocksNode(path, [TextNode(value_path, None), value], None)
        list_sink = sink if isinstance(sink, ListSink) else None
        items = reader.items if isinstance(reader, ArrayType) else None
        item_sink = list_sink.items if list_sink else None
        return BlocksNode(path, [self.node(writer.items, items, item_sink, f"{path}[]")], list_sink)

    def _record(
        self, writer: Record, reader: AvroType | None, sink: Sink | None, path: str
    ) -> RecordNode:
        struct = sink if isinstance(sink, StructSink) else None
        if struct is None and writer.full_name in self._passed_over:
            return self._passed_over[writer.full_name]
        node = RecordNode(path or writer.full_name, struct)
        if struct is None:
            self._passed_over[writer.full_name] = node
        prefix = f"{path}." if path else ""
        for name, written in writer.fields.items():
            wanted = reader.fields.get(name) if isinstance(reader, Record) else None
            member = struct.members.get(name) if struct is not None else None
            node.fields.append(
                self.node(written.type, wanted.type if wanted else None, member, prefix + name)
            )
        return node

    @staticmethod
    def _primitive(name: str, sink: Sink | None, path: str) -> Node:
        number = sink if isinstance(sink, NumberSink) else None
        text = sink if isinstance(sink, TextSink) else None
        if name in ("int", "long"):
            return NumberNode(path, name == "int", number)
        if name in ("float", "double"):
            return FloatNode(path, 4 if name == "float" else 8, number)
        if name == "boolean":
            return BooleanNode(path, number)
        if name in ("string", "bytes"):
            return TextNode(path, text)
        return NullNode()
