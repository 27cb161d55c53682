"""Anyone's files, by the command line: OpenRTB requests, and good messages between broken ones."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adx_platform.codecs.avro import decode_avro
from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.openrtb import rebuild_from_columns
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.rejects import show_reject
from adx_platform.settings import load_settings
from assets_tests.integration.installed_line import InstalledLine
from assets_tests.real_data import OPENRTB_REQUESTS, needs_openrtb_requests

REQUESTS = STREAMS["bid_requests"]
# Where refining replaces or rounds a value; everything else must come back as it was sent.
PERSONAL = {
    "ip", "ipv6", "ifa", "buyeruid", "lat", "lon", "imei", "email", "gaid", "oaid", "ppid",
    "customerid", "uid", "uids", "eid", "userid", "puid", "dpidsha1", "didsha1", "macsha1",
}  # fmt: skip
ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}|[0-9a-f]{1,4}:[0-9a-f:]+:", re.IGNORECASE)

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def line(
    broker_installed: None, clean_environment: dict[str, str], tmp_path: Path, unused_port: int
) -> Iterator[InstalledLine]:
    installed = InstalledLine.at(tmp_path, clean_environment, unused_port)
    installed.run("up", "--no-ui")
    yield installed
    installed.run("down")


def well_formed(path: Path) -> list[dict[str, Any]]:
    """Requests with a string id and impressions that each have one."""
    found = []
    for text in path.read_text(encoding="utf-8").splitlines():
        request = json.loads(text)
        imps = request.get("imp")
        ids = [i.get("id") if isinstance(i, dict) else None for i in imps or ()]
        if all(isinstance(i, str) and i for i in [request.get("id"), *ids]) and ids:
            found.append(request)
    return found


@needs_openrtb_requests
def test_real_openrtb_requests_come_out_of_the_lake_with_nothing_lost(line: InstalledLine) -> None:
    sent = well_formed(OPENRTB_REQUESTS)
    assert len(sent) == 2_775
    done = line.run(
        "produce",
        "--topic",
        REQUESTS.topic,
        "--file",
        str(OPENRTB_REQUESTS),
        "--exchange",
        "pbs",
        "--json",
    )
    summary = json.loads(done.stdout)
    lines = len(OPENRTB_REQUESTS.read_text(encoding="utf-8").splitlines())
    assert summary["sent"] == len(sent)
    assert len(summary["problems"]) == lines - len(sent)
    ingested = json.loads(line.run("ingest", "--once", "--json").stdout)
    assert present(ingested[REQUESTS.name]["counts"]) == {"accepted": len(sent)}

    storage = LakeStorage.at(str(line.home / "lake"))
    raw = raw_snapshot(storage, REQUESTS.topic)
    assert raw is not None
    values = raw.scan().sort("partition", "offset").collect()["value"]
    decoded = decode_avro(values, FileSchemaRegistry(line.home / "registry"))
    assert decoded.rejects.is_empty()
    landed = [rebuild_from_columns(row) for row in decoded.frame.iter_rows(named=True)]
    assert sorted(map(_canonical, landed)) == sorted(map(_canonical, sent))

    events = events_snapshot(storage, REQUESTS.topic, REQUESTS.events_schema)
    assert events is not None
    refined = events.scan().sort("partition", "offset").collect()
    assert refined.height == len(sent)
    for original, row in zip(landed, refined.iter_rows(named=True), strict=True):
        assert_same_but_personal(original, rebuild_from_columns(row))


@needs_openrtb_requests
def test_feeding_the_same_file_again_gives_duplicates(line: InstalledLine, tmp_path: Path) -> None:
    file = tmp_path / "some.ndjson"
    file.write_text(
        "\n".join(json.dumps(r) for r in well_formed(OPENRTB_REQUESTS)[:50]), encoding="utf-8"
    )
    for _ in range(2):
        line.run("produce", "--topic", REQUESTS.topic, "--file", str(file))
    counts = json.loads(line.run("ingest", "--once", "--json").stdout)[REQUESTS.name]["counts"]
    assert present(counts) == {"accepted": 50, "duplicate": 50}


def impression(number: int) -> dict[str, Any]:
    return {
        "event_type": "rendered", "event_id": f"good-{number}",
        "ts": 1_772_452_800_000_000 + number,
        "impression_id": f"imp-{number}", "exchange_id": "x", "request_id": f"r-{number}",
        "imp_id": "1", "bid_id": f"b-{number}", "campaign_id": "c", "creative_id": "cr",
        "advertiser_id": "a", "publisher_id": "p", "user_agent": "Mozilla/5.0", "ip": "192.0.2.7",
    }  # fmt: skip


def changed(**fields: object) -> bytes:
    return json.dumps({**impression(999), "event_id": "bad", **fields}).encode()


def without(name: str) -> bytes:
    return json.dumps({k: v for k, v in impression(999).items() if k != name}).encode()


GOOD = json.dumps(impression(998)).encode()
BROKEN: dict[str, tuple[bytes, str]] = {
    "truncated": (GOOD[:-20], "malformed_json"),
    "not json": (b"<html>502 Bad Gateway</html>", "malformed_json"),
    "two documents": (GOOD + GOOD, "malformed_json"),
    "trailing comma": (GOOD[:-1] + b",}", "malformed_json"),
    "single quotes": (GOOD.replace(b'"', b"'"), "malformed_json"),
    "NaN": (changed().replace(b'"192.0.2.7"', b"NaN"), "malformed_json"),
    "array": (b"[" + GOOD + b"]", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "number": (b"42", "not_an_object"),
    "text": (b'"hello"', "not_an_object"),
    "bad utf-8": (GOOD.replace(b"good-998", b"\xff\xfe"), "invalid_encoding"),
    "nested": (GOOD[:-1] + b',"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep"),
    "duplicate key": (GOOD[:-1] + b',"event_id":"again"}', "duplicate_key"),
    "time as text": (changed(ts="yesterday"), "wrong_type"),
    "fractional time": (changed(ts=1.5), "wrong_type"),
    "id as number": (changed(impression_id=7), "wrong_type"),
    "device as text": (changed(device="phone"), "wrong_type"),
    "no event id": (without("event_id"), "missing_field"),
    "null campaign": (changed(campaign_id=None), "missing_field"),
    "empty event id": (changed(event_id=""), "missing_field"),
    "unknown event type": (changed(event_type="teleported"), "invalid_value"),
    "pixels over 100": (changed(pixels_in_view_pct=250.0), "invalid_value"),
    "negative time in view": (changed(time_in_view_ms=-5), "invalid_value"),
    "far future": (changed(ts=4_102_444_800_000_000), "event_in_future"),
    "long ago": (changed(ts=946_684_800_000_000), "event_too_old"),
}


BROKEN_BY_BYTES = dict(BROKEN.values())


def test_broken_messages_between_good_ones(line: InstalledLine, tmp_path: Path) -> None:
    """Raw lines: one good message before, between and after every broken one."""
    lines: list[bytes] = []
    for number, (value, _) in enumerate(BROKEN.values()):
        lines += [json.dumps(impression(number)).encode(), value]
    lines.append(json.dumps(impression(len(BROKEN))).encode())
    file = tmp_path / "messages.raw"
    file.write_bytes(b"\n".join(lines))
    # The messages are of a fixed day: the broker's clock must not make them too old.
    line.environment["ADX_REFINE__OLDEST_ACCEPTED"] = "P3650D"
    line.run("produce", "--topic", "ad_impressions", "--file", str(file), "--format", "raw")
    ingested = json.loads(line.run("ingest", "--once", "--json").stdout)["ad_impressions"]
    assert present(ingested["counts"]) == {"accepted": len(BROKEN) + 1, "rejected": len(BROKEN)}
    assert ingested["noted"] == []

    rejects = json.loads(line.run("rejects", "ls", "--json", "--limit", "1000").stdout)
    assert all(reject["reason"] for reject in rejects)
    # One by the command; a process for each of them would take a minute.
    first = rejects[0]
    where = (first["stream"], str(first["partition"]), str(first["offset"]))
    full = json.loads(line.run("rejects", "show", *where, "--json").stdout)
    value = base64.b64decode(full["raw"]["value_base64"])
    assert BROKEN_BY_BYTES[value] == full["reason_code"] == first["reason_code"]
    platform = open_platform(load_settings(home=line.home))
    shown = {}
    for reject in rejects:
        found = show_reject(platform, "ad_impressions", reject["partition"], reject["offset"])
        assert found.raw is not None
        shown[found.raw.value] = found.reject.reason_code
    assert shown == BROKEN_BY_BYTES

    storage = LakeStorage.at(str(line.home / "lake"))
    stream = STREAMS["ad_impressions"]
    events = events_snapshot(storage, stream.topic, stream.events_schema)
    assert events is not None
    accepted = events.scan().filter(pl.col("disposition") == "accepted").collect()
    assert set(accepted["event_id"]) == {f"good-{n}" for n in range(len(BROKEN) + 1)}

    more = json.dumps({**impression(len(BROKEN) + 1), "zone": "b", "[viewers]": 3})
    file.write_text(more, encoding="utf-8")
    line.run("produce", "--topic", "ad_impressions", "--file", str(file), "--format", "raw")
    said = " ".join(line.run("ingest", "--once").stdout.split())
    assert "ad_impressions has what the contract does not know, and was let pass: " in said
    assert said.endswith("let pass: [viewers]; zone")


def test_lines_that_cannot_be_framed_fail_a_strict_feed(
    line: InstalledLine, tmp_path: Path
) -> None:
    file = tmp_path / "some.ndjson"
    file.write_text('{"id": "r", "imp": [{"id": "1"}]}\nnot json\n', encoding="utf-8")
    arguments = ("produce", "--topic", REQUESTS.topic, "--file", str(file))
    lenient = line.run(*arguments)
    assert "line 2" in lenient.stderr
    assert line.adx(*arguments, "--strict").returncode == 1
    file.write_text("not json\n", encoding="utf-8")
    assert line.adx(*arguments).returncode == 1


def test_a_file_with_unknown_csv_columns_is_refused_by_name(
    line: InstalledLine, tmp_path: Path
) -> None:
    file = tmp_path / "clicks.csv"
    file.write_text("event_type,event_id,ts,colour\nclick,e,1,red\n", encoding="utf-8")
    done = line.adx("produce", "--topic", "clicks_conversions", "--file", str(file))
    assert done.returncode == 1
    assert "colour" in done.stderr


def present(counts: dict[str, int]) -> dict[str, int]:
    """Without the dispositions that no message has."""
    return {name: count for name, count in counts.items() if count}


def _canonical(value: object) -> str:
    return json.dumps(_numbers(value), sort_keys=True)


def _numbers(value: Any) -> Any:
    """1 and 1.0 are one number in JSON."""
    if isinstance(value, dict):
        return {k: _numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def assert_same_but_personal(sent: dict[str, Any], got: dict[str, Any]) -> None:
    user, device = sent.get("user") or {}, sent.get("device") or {}
    own = (user.get("id"), user.get("buyeruid"), device.get("ifa"))
    ids = frozenset(value for value in own if isinstance(value, str) and len(value) > 5)
    _compare(sent, got, (), ids)


def _compare(sent: Any, got: Any, path: tuple[str, ...], own_ids: frozenset[str]) -> None:
    if isinstance(sent, dict) and isinstance(got, dict):
        assert got.keys() <= sent.keys()
        for key, value in sent.items():
            if key in got:
                _compare(value, got[key], (*path, key.lower()), own_ids)
            else:
                # An all-zero id becomes no id, and an object of nothing else no object.
                assert _is_personal(value, (*path, key.lower()), own_ids), (path, key, value)
    elif isinstance(sent, list) and isinstance(got, list):
        assert len(sent) == len(got)
        for one, other in zip(sent, got, strict=True):
            _compare(one, other, path, own_ids)
    elif sent != got:
        assert _is_personal(sent, path, own_ids), (path, sent, got)


def _is_personal(value: Any, path: tuple[str, ...], own_ids: frozenset[str]) -> bool:
    """Whether refining reduces it: by name, or as an address or an own id anywhere."""
    if isinstance(value, dict):
        return all(
            _is_personal(inner, (*path, key.lower()), own_ids) for key, inner in value.items()
        )
    return (
        not PERSONAL.isdisjoint(path)
        or (path[-1] == "id" and "user" in path)
        or bool(ADDRESS.search(str(value)))
        or any(own in str(value) for own in own_ids)
    )
