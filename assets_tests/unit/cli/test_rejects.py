"""`adx rejects` on a small real lake."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from adx_platform.cli.rejects import _hex_dump

HTML = b"<html>502 Bad Gateway \xff</html>"


@pytest.mark.usefixtures("mixed_line")
def test_the_list_says_what_was_refused_why_and_how_to_see_it(adx: Any) -> None:
    done = adx("rejects", "ls")
    assert done.code == 0
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in done.stdout.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["ad_impressions", "1", "0", "tombstone", "the message has a null value"],
        ["ad_impressions", "0", "4", "invalid_encoding", "the 30 bytes are not valid UTF-8"],
    ]
    assert "raw bytes: adx rejects show ad_impressions 1 0" in done.stdout


@pytest.mark.usefixtures("mixed_line")
def test_the_list_can_be_narrowed(adx: Any) -> None:
    def offsets(*options: str) -> list[tuple[int, int]]:
        found = adx("rejects", "ls", "--json", *options).json
        return [(reject["partition"], reject["offset"]) for reject in found]

    assert offsets() == [(1, 0), (0, 4)]
    assert offsets("--reason", "invalid_encoding") == [(0, 4)]
    assert offsets("--reason", "too_deep") == []
    assert offsets("--limit", "1") == [(1, 0)]
    assert offsets("--stream", "clicks_conversions") == []
    assert offsets("--stream", "ad_impressions", "--stream", "ad_impressions") == [(1, 0), (0, 4)]


def test_an_empty_lake_has_none(adx: Any) -> None:
    done = adx("rejects", "ls")
    assert (done.code, done.stdout) == (0, "no rejected records\n")


@pytest.mark.usefixtures("mixed_line")
def test_one_record_with_its_bytes(adx: Any) -> None:
    done = adx("rejects", "show", "ad_impressions", "0", "4")
    assert done.code == 0
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "reason_code  invalid_encoding" in lines
    assert "event_id  -" in lines
    assert "header  [trace] = b'\\x01'" in lines
    assert "value  30 bytes" in lines
    assert lines[-2:] == [
        "0  3c 68 74 6d 6c 3e 35 30 32 20 42 61 64 20 47 61  <html>502 Bad Ga",
        "10  74 65 77 61 79 20 ff 3c 2f 68 74 6d 6c 3e        teway .</html>",
    ]


@pytest.mark.usefixtures("mixed_line")
def test_one_record_as_json_is_exact(adx: Any) -> None:
    shown = adx("rejects", "show", "ad_impressions", "0", "4", "--json").json
    assert shown["reason_code"] == "invalid_encoding"
    assert shown["kafka_timestamp"] == "2026-03-02T12:00:00+00:00"
    assert base64.b64decode(shown["raw"]["value_base64"]) == HTML
    assert base64.b64decode(shown["raw"]["key_base64"]) == b"k"
    assert shown["raw"]["headers"] == [["[trace]", base64.b64encode(b"\x01").decode()]]


@pytest.mark.usefixtures("mixed_line")
def test_a_tombstone_has_no_bytes(adx: Any) -> None:
    done = adx("rejects", "show", "ad_impressions", "1", "0")
    assert done.stdout.rstrip("\n").endswith("value  null (a tombstone)")
    shown = adx("rejects", "show", "ad_impressions", "1", "0", "--json").json
    assert shown["raw"]["value_base64"] is None


@pytest.mark.usefixtures("mixed_line")
@pytest.mark.parametrize(
    ("partition", "offset"),
    [("0", "3"), ("0", "400"), ("7", "0")],
    ids=["accepted", "beyond", "no partition"],
)
def test_a_place_where_nothing_was_refused(adx: Any, partition: str, offset: str) -> None:
    done = adx("rejects", "show", "ad_impressions", partition, offset)
    assert done.code == 1
    assert done.stderr == (
        f"error: no record was rejected at ad_impressions partition {partition} offset {offset}; "
        "`adx rejects ls` shows those that were\n"
    )


def test_two_incarnations_of_a_topic_must_be_told_apart(adx: Any, mixed_line: Any) -> None:
    mixed_line.ingest("ad_impressions", 1, [b"again"], topic_id="topic-b")
    done = adx("rejects", "show", "ad_impressions", "1", "0")
    assert done.code == 1
    assert "topic-a" in done.stderr
    assert "topic-b" in done.stderr
    chosen = adx("rejects", "show", "ad_impressions", "1", "0", "--topic-id", "topic-b", "--json")
    assert base64.b64decode(chosen.json["raw"]["value_base64"]) == b"again"


@pytest.mark.parametrize("command", [("ls", "--stream", "x"), ("show", "x", "0", "0")])
def test_an_unknown_stream_is_wrong_usage(adx: Any, command: tuple[str, ...]) -> None:
    done = adx("rejects", *command)
    assert done.code == 2
    assert done.stderr == (
        "error: no stream 'x'; choose from bid_requests, ad_impressions, clicks_conversions\n"
    )


def test_a_hex_dump_fits_into_eighty_columns_and_has_every_byte() -> None:
    value = bytes(range(256)) * 2
    lines = _hex_dump(value).splitlines()
    assert max(map(len, lines)) <= 80
    assert b"".join(bytes.fromhex(line[10:57]) for line in lines) == value
    assert [int(line[:8], 16) for line in lines] == list(range(0, 512, 16))
    assert lines[4].endswith("@ABCDEFGHIJKLMNO")
    assert lines[7].endswith("pqrstuvwxyz{|}~.")


def test_a_hex_dump_of_a_large_value_is_cut() -> None:
    lines = _hex_dump(b"x" * 100, limit=32).splitlines()
    assert len(lines) == 3
    assert "--json has all of it" in lines[-1]
