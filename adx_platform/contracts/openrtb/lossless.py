"""OpenRTB objects to Avro records and back, with nothing lost.

Belongs here: :func:`shred`, which splits a JSON object into modelled values and an extension, and
:func:`rebuild`, its inverse. Does not belong here: whether a request is a good one; any JSON object
passes.

The extension is a JSON object from JSON pointer (RFC 6901) to value. It takes every value that the
columns could not give back: unknown members, values of another type, explicit nulls, numbers
outside the leaf's range, text that is not Unicode, and objects and arrays without any modelled
value. The last rule makes the columns independent of whether a reader or a file format tells null
from an empty list or from a struct of nulls.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from adx_platform.contracts.json_values import JsonValue
from adx_platform.contracts.openrtb.derive import EXTENSION_FIELD
from adx_platform.contracts.openrtb.model import BID_REQUEST, CONTRACT_NAMES
from adx_platform.contracts.openrtb.nodes import Array, Leaf, Node, Object

_LARGEST_EXACT = 2**53
"""Whole numbers up to this size survive as a double."""


def shred(openrtb: Mapping[str, Any]) -> dict[str, Any]:
    """Split an OpenRTB bid request into the values of the Avro record.

    Args:
        openrtb: any JSON object, as ``json.loads`` gives it.

    Returns:
        One entry per modelled member, null where there is nothing, and ``extension_json``: text,
        or null when every value has a column.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    extension: dict[str, Any] = {}
    record = _shred_object(BID_REQUEST, openrtb, "", extension) or dict.fromkeys(
        BID_REQUEST.members
    )
    record[EXTENSION_FIELD] = (
        json.dumps(extension, separators=(",", ":"), allow_nan=False) if extension else None
    )
    return record


def rebuild(record: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenRTB bid request that :func:`shred` split.

    Args:
        record: the Avro record, or the same members taken from a row of a frame; further entries
            (the envelope) are ignored.

    Returns:
        An object equal to the original, where 1 and 1.0 are the same JSON number. The order of
        members is the table's, then the extension's.
    """
    openrtb = _rebuild_object(BID_REQUEST, record)
    text = record.get(EXTENSION_FIELD)
    if text:
        for pointer, value in json.loads(text).items():
            _put(openrtb, pointer, value)
    return openrtb


def rebuild_from_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """:func:`rebuild` for a row of the refined table, which has its own names for some members."""
    record = {name: row.get(CONTRACT_NAMES.get(name, name)) for name in BID_REQUEST.members}
    if record["test"] is not None:
        record["test"] = int(record["test"])
    record[EXTENSION_FIELD] = row.get(EXTENSION_FIELD)
    return rebuild(record)


def _shred_object(
    node: Object, value: Mapping[str, Any], pointer: str, extension: dict[str, Any]
) -> dict[str, Any] | None:
    """The record of an object, or None if it has no modelled value (then nothing was noted)."""
    record: dict[str, Any] = dict.fromkeys(node.members)
    notes: dict[str, Any] = {}
    modelled = False
    for name, item in value.items():
        here = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        member = node.members.get(name)
        shredded = None if member is None else _shred_value(member, item, here, notes)
        if shredded is None:
            notes[here] = item
        else:
            record[name] = shredded
            modelled = True
    if not modelled and pointer:
        return None
    extension.update(notes)
    return record


def _shred_value(
    node: Node, value: JsonValue, pointer: str, extension: dict[str, Any]
) -> JsonValue:
    """The value as the node holds it, or None if the node cannot hold it."""
    if isinstance(node, Leaf):
        return _shred_leaf(node, value)
    if isinstance(node, Array):
        return _shred_array(node.items, value, pointer, extension)
    if not isinstance(value, dict):
        return None
    return _shred_object(node, value, pointer, extension)


def _shred_array(
    items: Leaf | Object, value: JsonValue, pointer: str, extension: dict[str, Any]
) -> list[Any] | None:
    if not isinstance(value, list) or not value:
        return None
    if isinstance(items, Leaf):
        shredded = [_shred_leaf(items, item) for item in value]
        return None if any(item is None for item in shredded) else shredded
    if not all(isinstance(item, dict) for item in value):
        return None
    notes: dict[str, Any] = {}
    records: list[Any] = []
    modelled = False
    for position, item in enumerate(value):
        here = f"{pointer}/{position}"
        record = _shred_object(items, item, here, notes)
        modelled = modelled or record is not None
        if record is None:
            record = dict.fromkeys(items.members)
            if item:
                notes[here] = item
        records.append(record)
    if not modelled:
        return None
    extension.update(notes)
    return records


def _shred_leaf(leaf: Leaf, value: JsonValue) -> JsonValue:
    if isinstance(value, bool):
        return None
    if leaf.avro == "string":
        return value if isinstance(value, str) and _is_unicode(value) else None
    if leaf.avro == "double":
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return float(value) if isinstance(value, int) and abs(value) <= _LARGEST_EXACT else None
    return value if isinstance(value, int) and leaf.lowest <= value <= leaf.highest else None


def _is_unicode(text: str) -> bool:
    """False for a lone surrogate, which JSON can escape but UTF-8 cannot carry."""
    if text.isascii():
        return True
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _rebuild_object(node: Object, record: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, member in node.members.items():
        value = record.get(name)
        if value is None:
            continue
        rebuilt = _rebuild_value(member, value)
        if rebuilt is not None:
            result[name] = rebuilt
    return result


def _rebuild_value(node: Node, value: JsonValue) -> JsonValue:
    """The JSON value; None for an empty list or a struct of nulls, which shred never writes."""
    if isinstance(node, Leaf):
        return value
    if isinstance(node, Object):
        if not isinstance(value, dict):
            raise TypeError(f"an object was stored as {type(value).__name__}")
        return _rebuild_object(node, value) or None
    if not isinstance(value, list):
        raise TypeError(f"an array was stored as {type(value).__name__}")
    items = node.items
    if isinstance(items, Leaf):
        return value or None
    return [{} if item is None else _rebuild_object(items, item) for item in value] or None


def _put(root: dict[str, Any], pointer: str, value: JsonValue) -> None:
    target: Any = root
    *path, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    for part in path:
        # Reducing personal data may have emptied, and so dropped, the object around the value.
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    if isinstance(target, list):
        target[int(last)] = value
    else:
        target[last] = value
