"""What follows from the OpenRTB table: Avro types and polars types.

Belongs here: pure derivations of ``model.BID_REQUEST``. Does not belong here: values.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from adx_platform.contracts.columns import Column, DataType
from adx_platform.contracts.json_values import JsonValue
from adx_platform.contracts.openrtb.model import BID_REQUEST, CONTRACT_NAMES
from adx_platform.contracts.openrtb.nodes import Array, Leaf, Node, Object

EXTENSION_FIELD = "extension_json"

_DESCRIPTIONS: dict[str, str] = {
    "allimps": "OpenRTB allimps: these are all the impressions of the page",
    "cur": "OpenRTB cur: allowed currencies",
    "bcat": "OpenRTB bcat: blocked categories",
    "badv": "OpenRTB badv: blocked advertiser domains",
    "bapp": "OpenRTB bapp: blocked apps",
    "imp": "OpenRTB imp[]: the impressions offered, in full",
    "site": "OpenRTB site object",
    "app": "OpenRTB app object",
    "dooh": "OpenRTB dooh object",
    "device": "OpenRTB device object, personal data reduced",
    "user": "OpenRTB user object, personal data reduced",
    "regs": "OpenRTB regs object",
    "source": "OpenRTB source object with the supply chain",
}


def polars_dtype(node: Node) -> DataType:
    """The polars type of a node: scalar, ``List`` or ``Struct``."""
    if isinstance(node, Leaf):
        return node.dtype
    if isinstance(node, Array):
        return pl.List(polars_dtype(node.items))
    return pl.Struct({name: polars_dtype(member) for name, member in node.members.items()})


def avro_type(node: Node, record_name: str) -> JsonValue:
    """The Avro type of a node, without the union that makes it optional.

    Every record is written out where it is used, under a name made of its path: a type used twice
    would have to be a reference by name, which not every columnar Avro reader resolves.
    """
    if isinstance(node, Leaf):
        return node.avro
    if isinstance(node, Array):
        return {"type": "array", "items": avro_type(node.items, record_name)}
    return {
        "type": "record",
        "name": record_name,
        "fields": avro_fields(node, record_name),
    }


def avro_fields(node: Object, prefix: str = "") -> list[dict[str, Any]]:
    """The members of an object as optional Avro fields, null by default."""
    return [
        {
            "name": name,
            "type": ["null", avro_type(member, prefix + name[:1].upper() + name[1:])],
            "default": None,
        }
        for name, member in node.members.items()
    ]


OPENRTB_COLUMNS: tuple[Column, ...] = (
    *(
        Column(name, polars_dtype(member), _DESCRIPTIONS[name])
        for name, member in BID_REQUEST.members.items()
        if name not in CONTRACT_NAMES
    ),
    Column(
        EXTENSION_FIELD,
        pl.String,
        "what has no column: a JSON object from JSON pointer to value, personal data reduced",
    ),
)
"""The lossless OpenRTB columns of the refined table."""
