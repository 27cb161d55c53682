from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import SecretStr

from adx_platform.codecs.framing import bid_request_record
from adx_platform.refine import text
from adx_platform.refine.batch import refine_batch
from adx_platform.refine.context import RefineContext
from adx_platform.refine.extension import normal_user_id, reduce_extension
from adx_platform.refine.pseudonyms import Pseudonymiser
from adx_platform.settings import PrivacySettings

Maker = Callable[..., bytes]
Raw = Callable[..., pl.DataFrame]
Contexts = Callable[..., RefineContext]

IP, IPV6 = "198.51.100.77", "2001:db8:aaaa:bbbb:1:2:3:4"
IFA = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"
SECRETS = (IP, IPV6, IFA, IFA.lower(), "first-party-7", "buyer-7", "eid-7", "52.5200", "13.4050")


def pseudonym(user_id: str, key: bytes = b"test-key") -> str:
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()


def request(**changes: Any) -> dict[str, Any]:
    return {
        "id": "r1",
        "imp": [{"id": "1"}],
        "device": {
            "ip": IP,
            "ipv6": IPV6,
            "ifa": IFA,
            "geo": {"lat": 52.5200, "lon": 13.4050},
            "ext": {"client_ip": IP, "ifa_type": "idfa", "os_version": "1.2.3.4"},
        },
        "user": {
            "id": "first-party-7",
            "buyeruid": "buyer-7",
            "geo": {"lat": -52.5200, "lon": 13.4050},
            "eids": [
                {"source": "a.example", "uids": [{"id": "eid-7", "atype": 1}, {"id": "eid-8"}]},
                {"source": "b.example", "uids": [{"id": "00000000-0000-0000-0000-000000000000"}]},
            ],
            "ext": {"eids": [{"source": "c.example", "uids": [{"id": "eid-7", "ext": {"k": 1}}]}]},
        },
        **changes,
    }


@pytest.fixture
def refined(
    context_of: Contexts, raw_of: Raw, avro_of: Maker
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def refine(openrtb: dict[str, Any]) -> dict[str, Any]:
        record = bid_request_record(openrtb, exchange_id="x1", event_id="e1", received_at_us=0)
        del record["received_at"]
        raw = raw_of([avro_of("BidRequest", **record)])
        return refine_batch(raw, context_of("bid_requests")).row(0, named=True)

    return refine


def test_no_clear_identity_is_left_in_a_bid_request(
    refined: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    row = refined(request())
    assert row["disposition"] == "accepted"
    everything = json.dumps(row, default=str)
    assert not [secret for secret in SECRETS if secret in everything]
    assert row["user_id"] == pseudonym("buyer-7") == row["user"]["buyeruid"]
    assert row["device"]["ip"] == row["ip_prefix"] == "198.51.100.0/24"
    assert row["device"]["ipv6"] == "2001:db8:aaaa::/48"
    assert row["device"]["ifa"] == pseudonym(IFA.lower())
    assert row["user"]["id"] == pseudonym("first-party-7")
    assert (row["device"]["geo"]["lat"], row["user"]["geo"]["lat"]) == (52.5, -52.5)
    eids = row["user"]["eids"]
    assert eids[0]["uids"][0] == {"id": pseudonym("eid-7"), "atype": 1}
    assert eids[0]["uids"][1]["id"] == pseudonym("eid-8")
    assert eids[1]["uids"][0]["id"] is None
    extension = json.loads(row["extension_json"])
    assert extension["/device/ext"] == {
        "client_ip": "198.51.100.0/24",
        "ifa_type": "idfa",
        "os_version": "1.2.3.4",
    }
    (eid,) = extension["/user/ext"]["eids"]
    assert eid["uids"][0]["id"] == pseudonym("eid-7")
    assert eid["source"] == "c.example"


@pytest.mark.parametrize(
    ("user", "device", "expected"),
    [
        ({"id": "f"}, {"ifa": IFA}, IFA.lower()),
        ({"id": " f "}, {"ifa": "00000000-0000-0000-0000-000000000000"}, "f"),
        ({"buyeruid": "", "id": "f"}, {}, "f"),
        ({}, {}, None),
    ],
)
def test_the_first_present_id_wins(
    refined: Callable[[dict[str, Any]], dict[str, Any]],
    user: dict[str, Any],
    device: dict[str, Any],
    expected: str | None,
) -> None:
    row = refined(request(user=user, device=device))
    assert row["user_id"] == (None if expected is None else pseudonym(expected))
    assert row["user_id_key_id"] == (None if expected is None else "k1")


def test_a_rotation_hashes_under_both_keys(
    context_of: Contexts, raw_of: Raw, impression_of: Maker
) -> None:
    privacy = PrivacySettings(
        key=SecretStr("new"),
        key_id="k2",
        previous_key=SecretStr("test-key"),
        previous_key_id="k1",
    )
    context = replace(context_of("ad_impressions"), privacy=privacy)
    row = refine_batch(raw_of([impression_of()]), context).row(0, named=True)
    assert row["user_id"] == pseudonym("visitor-4711", b"new")
    assert row["user_id_key_id"] == "k2"
    assert row["user_id_previous"] == pseudonym("visitor-4711")


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 200])
def test_the_pseudonym_is_an_hmac_for_keys_of_any_size(size: int) -> None:
    key = bytes(range(size % 256)) if size < 200 else b"k" * size
    assert Pseudonymiser(key).of("id-é") == pseudonym("id-é", key)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"/device/ip": 7}, {"/device/ip": None}),
        ({"/device/ext/x-forwarded-for": IP}, {"/device/ext/x-forwarded-for": "198.51.100.0/24"}),
        ({"/ext": {"IPv6": IPV6}}, {"/ext": {"IPv6": "2001:db8:aaaa::/48"}}),
        ({"/ext": {"seen": IP}}, {"/ext": {"seen": "198.51.100.0/24"}}),
        ({"/ext": {"seen": [IPV6]}}, {"/ext": {"seen": ["2001:db8:aaaa::/48"]}}),
        ({"/user/id": 4711}, {"/user/id": pseudonym("4711")}),
        ({"/user": {"id": "u"}}, {"/user": {"id": pseudonym("u")}}),
        ({"/device/didsha1": "abc"}, {"/device/didsha1": pseudonym("abc")}),
        ({"/device/dpidmd5": ""}, {"/device/dpidmd5": None}),
        ({"/device/geo/lat": "52.5200"}, {"/device/geo/lat": "52.5"}),
        ({"/ext": {"Latitude": 52.52, "lon": 13}}, {"/ext": {"Latitude": 52.5, "lon": 13}}),
        ({"/ext": {"device_id": ["a"]}}, {"/ext": {"device_id": [pseudonym("a")]}}),
        ({"/ext/p": "x?uid=own-id-1&y"}, {"/ext/p": f"x?uid={pseudonym('own-id-1')}&y"}),
        ({"/imp/0/ext": {"id": "slot", "ok": True}}, {"/imp/0/ext": {"id": "slot", "ok": True}}),
    ],
)
def test_the_extension_is_reduced(document: dict[str, Any], expected: dict[str, Any]) -> None:
    series = pl.Series([json.dumps(document)])
    own = pl.DataFrame({"id": ["own-id-1"]})
    reduced = reduce_extension(series, own, Pseudonymiser(b"test-key"))
    assert json.loads(reduced[0]) == expected


def test_an_escaped_name_does_not_hide() -> None:
    series = pl.Series(['{"/ext":{"\\u0069p":"198.51.100.77"}}', None])
    own = pl.DataFrame({"id": pl.Series([None, None], dtype=pl.String)})
    reduced = reduce_extension(series, own, Pseudonymiser(b"test-key"))
    assert reduced.to_list() == ['{"/ext":{"ip":"198.51.100.0/24"}}', None]


@pytest.mark.parametrize(
    "value", ["", "  ", "x", f" {IFA} ", IFA.replace("-", ""), "0000", "00000000-0000", "0a", "É-1"]
)
def test_ids_have_one_form_in_columns_and_in_json(value: str) -> None:
    column = pl.DataFrame({"id": [value]}).select(text.user_id("id")).item()
    assert column == normal_user_id(value)


def test_real_requests_lose_their_addresses_and_ids(
    context_of: Contexts, raw_of: Raw, avro_of: Maker, test_data: Path
) -> None:
    requests = []
    with (test_data / "openrtb" / "pbs_incoming.ndjson").open(encoding="utf-8") as lines:
        for line in lines:
            try:
                document = json.loads(line)
            except ValueError:
                continue
            if isinstance(document, dict) and isinstance(document.get("device"), dict):
                requests.append(document)
    messages = []
    for at, document in enumerate(requests[:400]):
        record = bid_request_record(document, exchange_id="x1", event_id=f"e{at}", received_at_us=0)
        del record["received_at"]
        messages.append(avro_of("BidRequest", **record))
    refined = refine_batch(raw_of(messages), context_of("bid_requests"))
    assert refined.height == len(messages)
    checked = 0
    for document, row in zip(requests, refined.iter_rows(named=True), strict=False):
        device, user = document["device"], document.get("user") or {}
        written = json.dumps(row, default=str)
        for value in (
            device.get("ip"),
            device.get("ipv6"),
            device.get("ifa"),
            user.get("buyeruid"),
        ):
            if isinstance(value, str) and len(value) >= 6 and set(value) - set("0-.:/"):
                assert f'"{value}"' not in written, value
                checked += 1
    assert checked > 50
