"""The OpenRTB 2.6 objects of a bid request.

Belongs here: describing a person, a property and a placement the way an exchange would, encoded
once and reused. Does not belong here: our envelope around a request (``encoding``), or which
members have columns (``contracts.openrtb``); members without a column go to ``extension_json``,
which a test compares with the contract's own splitting.
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from random import Random
from typing import Any

from adx_platform.contracts.avro_schemas import avro_schema
from adx_platform.contracts.openrtb import EXTENSION_FIELD
from adx_platform.simulate import behaviour
from adx_platform.simulate.avro_fragments import RecordEncoder
from adx_platform.simulate.inventory import Placement, Property
from adx_platform.simulate.population import CONSENT_STRING, Person
from adx_platform.simulate.randomness import new_id
from adx_platform.simulate.world import Exchange

IPV4 = 4
TMAX_MS = {"northlight": 120, "rheinbid": 150, "thamesx": 100, "sakura": 250}
_BLOCKED_CATEGORIES = ["IAB7-39", "IAB24", "IAB25", "IAB26"]
_VIDEO = {
    "mimes": ["video/mp4", "application/vnd.apple.mpegurl"],
    "minduration": 5,
    "maxduration": 30,
    "startdelay": 0,
    "protocols": [2, 3, 5, 6],
    "linearity": 1,
    "playbackmethod": [1, 2],
    "api": [7],
}
_NATIVE_REQUEST = json.dumps(
    {
        "ver": "1.2",
        "context": 1,
        "plcmttype": 1,
        "assets": [
            {"id": 1, "required": 1, "title": {"len": 90}},
            {"id": 2, "required": 1, "img": {"type": 3, "w": 1200, "h": 627}},
            {"id": 3, "required": 0, "data": {"type": 1, "len": 40}},
        ],
    },
    separators=(",", ":"),
)


class RequestWriter:
    """Builds the OpenRTB members of bid requests, most of them as bytes made once."""

    def __init__(self) -> None:
        self.encoder = RecordEncoder.of(avro_schema("BidRequest"))
        self._imp = self.encoder.inner("imp")
        self._source = self.encoder.inner("source")
        self._exchange_parts: dict[str, dict[str, bytes]] = {}
        self._imp_parts: dict[tuple[str, str, int, int], bytes] = {}

    def openrtb(
        self,
        rng: Random,
        *,
        request_id: str,
        person: Person,
        place: Property,
        imps: list[dict[str, Any]],
        placements: list[Placement],
        is_test: bool,
    ) -> dict[str, Any]:
        """Avro values of every OpenRTB member.

        Args:
            rng: draws pages and the supply chain.
            request_id: OpenRTB ``id``.
            person: who looks.
            place: where.
            imps: slim impressions as in the truth's ``imps``.
            placements: the slot of each impression.
            is_test: OpenRTB ``test``.
        """
        exchange = place.publisher.exchange
        return {
            "id": request_id,
            "at": exchange.openrtb_auction_type,
            "tmax": TMAX_MS[exchange.exchange_id],
            "test": int(is_test),
            **self._of_exchange(exchange),
            "imp": self.encoder.member(
                "imp",
                [self._imp_bytes(slim, slot) for slim, slot in zip(imps, placements, strict=True)],
            ),
            **self._of_property(place, rng),
            **self._of_person(person),
            "source": {
                "tid": new_id(rng),
                "fd": 0,
                "schain": self._chain(place) if rng.random() < behaviour.SCHAIN_SHARE else None,
            },
            EXTENSION_FIELD: self._extension(place),
        }

    def _imp_bytes(self, slim: dict[str, Any], placement: Placement) -> bytes:
        """An impression; a placement has few floors, so most of them were encoded before."""
        key = (
            placement.placement_id,
            slim["imp_id"],
            slim["floor_cpm_micros"],
            slim["deal_count"],
        )
        parts = self._imp_parts.get(key)
        if parts is None:
            parts = self._imp_parts[key] = self._imp(_imp(slim, placement))
        return parts

    def _of_exchange(self, exchange: Exchange) -> dict[str, bytes]:
        parts = self._exchange_parts.get(exchange.exchange_id)
        if parts is None:
            parts = {
                "cur": self.encoder.member("cur", [exchange.currency]),
                "bcat": self.encoder.member("bcat", _BLOCKED_CATEGORIES),
            }
            self._exchange_parts[exchange.exchange_id] = parts
        return parts

    def _of_property(self, place: Property, rng: Random) -> dict[str, bytes]:
        page = rng.choice(place.pages)
        parts = place.fragments.get(page)
        if parts is None:
            description = _site(place, page) if place.channel == "site" else _app(place)
            parts = place.fragments[page] = self.encoder.member(place.channel, description)
        return {place.channel: parts}

    def _of_person(self, person: Person) -> dict[str, bytes]:
        if not person.fragments:
            for name, value in (
                ("device", _device(person)),
                ("user", _user(person)),
                ("regs", _regs(person)),
            ):
                person.fragments[name] = self.encoder.member(name, value)
        return person.fragments

    def _chain(self, place: Property) -> bytes:
        parts = place.fragments.get("schain")
        if parts is None:
            parts = place.fragments["schain"] = self._source.member("schain", _chain(place))
        return parts

    def _extension(self, place: Property) -> bytes:
        parts = place.fragments.get(EXTENSION_FIELD)
        if parts is None:
            parts = place.fragments[EXTENSION_FIELD] = self.encoder.member(
                EXTENSION_FIELD, _extension(place)
            )
        return parts


def _chain(place: Property) -> dict[str, Any]:
    """The supply chain of a property that is sold through a reseller."""
    publisher = place.publisher
    return {
        "complete": 1,
        "ver": "1.0",
        "nodes": [
            {"asi": "reseller.example", "sid": publisher.publisher_id, "hp": 1},
            {"asi": f"{publisher.exchange.exchange_id}.example", "sid": "adx-7", "hp": 1},
        ],
    }


def _extension(place: Property) -> str:
    """Members without a column, as JSON pointer to value."""
    return json.dumps(
        {
            "/ext": {"exchange": {"name": place.publisher.exchange.name, "tier": 1}},
            f"/{place.channel}/ext": {"floors": True},
        },
        separators=(",", ":"),
    )


def _imp(slim: dict[str, Any], placement: Placement) -> dict[str, Any]:
    floor = slim["floor_cpm_micros"] / behaviour.MICROS
    currency = slim["floor_currency"]
    deal = {
        "id": f"deal-{placement.placement_id}",
        "bidfloor": floor,
        "bidfloorcur": currency,
        "at": 1,
    }
    return {
        "id": slim["imp_id"],
        "tagid": placement.placement_id,
        "bidfloor": floor,
        "bidfloorcur": currency,
        "secure": 1,
        "instl": 0,
        "pmp": {"private_auction": 0, "deals": [deal]} if slim["deal_count"] else None,
        placement.media_type: _media(placement),
    }


def _media(placement: Placement) -> dict[str, Any]:
    size = {"w": placement.width, "h": placement.height}
    if placement.media_type == "banner":
        return {**size, "format": [size], "pos": placement.position, "api": [5, 7], "topframe": 1}
    if placement.media_type == "video":
        return {**size, **_VIDEO, "pos": placement.position}
    return {"request": _NATIVE_REQUEST, "ver": "1.2"}


def _publisher(place: Property) -> dict[str, Any]:
    publisher = place.publisher
    return {"id": publisher.publisher_id, "name": publisher.name, "domain": publisher.domain}


def _site(place: Property, page: str) -> dict[str, Any]:
    return {
        "id": f"site-{place.publisher.publisher_id}",
        "name": place.publisher.name,
        "domain": place.publisher.domain,
        "page": page,
        "ref": "https://search.example/",
        "cat": [place.category],
        "publisher": _publisher(place),
    }


def _app(place: Property) -> dict[str, Any]:
    return {
        "id": f"app-{place.publisher.publisher_id}",
        "name": place.publisher.name,
        "bundle": place.bundle,
        "storeurl": f"https://store.example/apps/{place.bundle}",
        "ver": "4.2.1",
        "cat": [place.category],
        "publisher": _publisher(place),
    }


def _device(person: Person) -> dict[str, Any]:
    region, city, latitude, longitude = person.place
    device = person.device
    address = "ip" if ip_address(person.ip).version == IPV4 else "ipv6"
    return {
        "ua": person.user_agent,
        address: person.ip,
        "ifa": person.sent_id if person.id_kind == "ifa" else None,
        "geo": {
            "lat": latitude,
            "lon": longitude,
            "type": 2,
            "country": person.country.code,
            "region": region,
            "city": city,
        },
        "dnt": 0,
        "lmt": 0 if person.sent_id else 1,
        "devicetype": device.device_type,
        "make": device.make or None,
        "model": device.model or None,
        "os": device.os,
        "osv": device.os_version or None,
        "w": device.width,
        "h": device.height,
        "js": 1,
        "language": person.country.language,
        "connectiontype": 2,
    }


def _user(person: Person) -> dict[str, Any] | None:
    user: dict[str, Any] = {}
    if person.id_kind in {"buyeruid", "id"} and person.sent_id:
        user[person.id_kind] = person.sent_id
    if person.revealed["consent"]:
        user["consent"] = CONSENT_STRING
    return user or None


def _regs(person: Person) -> dict[str, Any]:
    gdpr = person.revealed["gdpr_applies"]
    regs: dict[str, Any] = {"coppa": 0, "gdpr": None if gdpr is None else int(gdpr)}
    if person.country.code == "USA":
        regs["us_privacy"] = "1YNN"
    return regs
