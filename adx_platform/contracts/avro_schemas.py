"""The Avro contract of the `bid_requests` stream: the committed schema files and their names.

Belongs here: loading ``schemas/*.avsc`` and saying which version is current. Does not belong here:
encoding or decoding (``codecs``), or the registry's ids.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from adx_platform.contracts.openrtb import BID_REQUEST, EXTENSION_FIELD, avro_fields

NAMESPACE = "com.advertisex.adx"

VERSIONS: dict[str, tuple[int, ...]] = {
    "BidRequest": (1,),
    "BidResponse": (1,),
    "BidNotice": (1, 2),
}
"""Schema versions per record, oldest first; the last one is the contract."""

RECORD_TYPE_BY_NAME: dict[str, str] = {
    f"{NAMESPACE}.BidRequest": "bid_request",
    f"{NAMESPACE}.BidResponse": "bid_response",
    f"{NAMESPACE}.BidNotice": "bid_notice",
}
"""Full Avro record name, which is also the registry subject, to record type."""

EVENT_TIME_FIELD: dict[str, str] = {
    "bid_request": "received_at",
    "bid_response": "responded_at",
    "bid_notice": "noticed_at",
}


def subject_of(record_name: str) -> str:
    """The registry subject of a record: its full name (record-name strategy)."""
    return f"{NAMESPACE}.{record_name}"


@cache
def avro_schema(record_name: str, version: int | None = None) -> str:
    """The text of a committed schema file.

    Args:
        record_name: ``BidRequest``, ``BidResponse`` or ``BidNotice``.
        version: one of ``VERSIONS[record_name]``; absent: the current one.

    Raises:
        ValueError: there is no such record or version.
    """
    versions = VERSIONS.get(record_name)
    if versions is None:
        raise ValueError(f"no Avro record {record_name!r}; choose one of {', '.join(VERSIONS)}")
    wanted = versions[-1] if version is None else version
    if wanted not in versions:
        raise ValueError(f"{record_name} has no version {wanted}; it has {versions}")
    path = files("adx_platform.contracts") / "schemas" / f"{record_name}.v{wanted}.avsc"
    return path.read_text(encoding="utf-8")


def derived_bid_request_schema() -> dict[str, Any]:
    """The BidRequest schema that follows from the OpenRTB table; the committed file equals it."""
    return {
        "type": "record",
        "name": "BidRequest",
        "namespace": NAMESPACE,
        "doc": "An OpenRTB 2.6 bid request as received from an exchange.",
        "fields": [
            {"name": "event_id", "type": "string"},
            {"name": "exchange_id", "type": "string"},
            {"name": "received_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            *avro_fields(BID_REQUEST, "OpenRtb"),
            {
                "name": EXTENSION_FIELD,
                "type": ["null", "string"],
                "default": None,
                "doc": "What the fields above do not hold: an object from JSON pointer to value.",
            },
        ],
    }


def render_schema(schema: dict[str, Any]) -> str:
    """The text of a schema file: indented, with a final newline."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
