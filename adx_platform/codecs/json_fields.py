"""The JSON fields of an impression as typed structs: the shape that a message must have.

Belongs here: names and types of the wire fields, and how a type error is told to a person. Does
not belong here: which fields are required or which values are allowed (``refine``).
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Device(msgspec.Struct, gc=False):
    """Where the impression was shown."""

    device_type: str | None = None
    os: str | None = None


class Geo(msgspec.Struct, gc=False):
    """Where on earth, as the sender says."""

    country: str | None = None
    region: str | None = None


class Impression(msgspec.Struct, gc=False):
    """One message. Everything is optional here, so that a type error never hides a missing field.

    ``gc=False``: a struct holds no cycle, and tracking 100,000 of them costs as much as decoding.
    """

    event_type: str | None = None
    event_id: str | None = None
    ts: Int64 | None = None
    impression_id: str | None = None
    exchange_id: str | None = None
    request_id: str | None = None
    imp_id: str | None = None
    bid_id: str | None = None
    campaign_id: str | None = None
    creative_id: str | None = None
    advertiser_id: str | None = None
    publisher_id: str | None = None
    site_domain: str | None = None
    app_bundle: str | None = None
    placement_id: str | None = None
    user_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    device: Device | None = None
    geo: Geo | None = None
    pixels_in_view_pct: float | None = None
    time_in_view_ms: Int64 | None = None
    gdpr_applies: bool | None = None
    consent: bool | None = None


_EXPECTED = re.compile(r"Expected `(?P<wanted>\w+)(?: \| null)?`, got `(?P<got>\w+)`")
_PATH = re.compile(r" - at `\$\.(?P<path>[\w.]+)`$")
_WORDS = {
    "str": "text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}


def explain(error: msgspec.ValidationError) -> str:
    """The field, what was expected and what came; never the value itself."""
    message = str(error)
    at = _PATH.search(message)
    field = at["path"] if at else "the message"
    expected = _EXPECTED.search(message)
    if expected is None:
        return f"{field}: a number outside the 64-bit range"
    wanted, got = (_WORDS.get(expected[name], expected[name]) for name in ("wanted", "got"))
    if expected["wanted"] == "int" and expected["got"] == "float":
        got = "a number with a decimal point or exponent"
    return f"{field}: expected {wanted}, got {got}"
