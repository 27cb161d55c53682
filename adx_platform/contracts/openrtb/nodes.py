"""The four kinds of node of the OpenRTB table.

Belongs here: what a leaf, an array and an object are, and the Avro and polars type of each leaf.
Does not belong here: any OpenRTB name (``model``), or what is derived from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import polars as pl

from adx_platform.contracts.columns import DataType


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar: its Avro primitive type and its polars type.

    ``lowest`` and ``highest`` bound whole numbers, both inclusive; a number outside is not this
    leaf's value.
    """

    avro: str
    dtype: DataType
    lowest: int = 0
    highest: int = 0


@dataclass(frozen=True, slots=True)
class Array:
    """A list whose elements are all of one leaf or one object."""

    items: Leaf | Object


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object with named, optional members."""

    members: Mapping[str, Node]


Node: TypeAlias = Leaf | Array | Object

STRING = Leaf("string", pl.String)
DOUBLE = Leaf("double", pl.Float64)
INT = Leaf("int", pl.Int32, -(2**31), 2**31 - 1)
LONG = Leaf("long", pl.Int64, -(2**63), 2**63 - 1)
FLAG = Leaf("int", pl.Int32, 0, 1)
"""A 0/1 whole number that the refined columns keep as a boolean."""


def members(**nodes: Node) -> Object:
    """An object from keyword arguments; reads like the specification's tables."""
    return Object(MappingProxyType(dict(nodes)))
