from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.codecs.avro import decode_avro
from adx_platform.codecs.encoding import (
    bid_request_record,
    encode_avro,
    encode_click_conversion,
    encode_impression,
)
from adx_platform.codecs.framing import (
    FileProblem,
    FramedMessage,
    UnreadableFileError,
    frame_file,
)
from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION
from adx_platform.contracts.openrtb import rebuild_from_columns
from assets_tests.real_data import OPENRTB_REQUESTS, needs_openrtb_requests


@pytest.fixture
def registry(tmp_path: Path) -> FileSchemaRegistry:
    return FileSchemaRegistry(tmp_path / "registry")


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def framed(
    topic: str, path: Path, file_format: Any, **options: Any
) -> tuple[list[FramedMessage], list[FileProblem]]:
    problems: list[FileProblem] = []
    messages = list(frame_file(topic, path, file_format, on_problem=problems.append, **options))
    return messages, problems


# -- single messages


def test_a_record_that_does_not_fit_is_named() -> None:
    good = bid_request_record({"id": "1"}, exchange_id="x", event_id="e", received_at_us=1)
    with pytest.raises(ValueError, match="record 1 does not fit the schema of BidRequest"):
        encode_avro("BidRequest", [good, {"event_id": 3}], 1)


def test_an_impression_is_compact_json_in_utf8() -> None:
    assert encode_impression({"b": 1, "a": "é"}) == '{"b":1,"a":"é"}'.encode()


cells = (
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=8)
)


@given(st.dictionaries(st.sampled_from(CSV_COLUMNS_BY_VERSION[2]), cells))
def test_a_csv_line_reads_back(event: dict[str, Any]) -> None:
    line = encode_click_conversion(event, 2).decode()
    (row,) = csv.reader([line]) if "\n" not in line and "\r" not in line else [None]
    if row is None:
        return
    wanted = [event.get(column) for column in CSV_COLUMNS_BY_VERSION[2]]
    shown = {None: "", True: "true", False: "false"}
    assert row == [
        shown[cell] if cell is None or isinstance(cell, bool) else str(cell) for cell in wanted
    ]


def test_a_csv_line_has_the_columns_of_its_version() -> None:
    assert encode_click_conversion({"event_type": "click", "value": "1,5"}, 1).count(b",") == 16
    with pytest.raises(ValueError, match="landing_page"):
        encode_click_conversion({"landing_page": "p"}, 1)
    with pytest.raises(ValueError, match="no contract version 9"):
        encode_click_conversion({}, 9)


# -- files


def test_impressions_are_sent_as_they_are(tmp_path: Path) -> None:
    path = written(
        tmp_path, "f.ndjson", '{"impression_id": "i1"}\n\n{"a": 1}\r\n[1]\n{"a": NaN}\nx\n{"a":1'
    )
    messages, problems = framed("ad_impressions", path, "ndjson")
    assert messages == [
        FramedMessage(b"i1", b'{"impression_id": "i1"}', [], None),
        FramedMessage(None, b'{"a": 1}', [], None),
    ]
    assert [problem.line for problem in problems] == [4, 5, 6, 7]


def test_csv_columns_may_come_in_any_order(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "f.csv",
        '\ufeffts,event_id,user_id,event_type,order_id\r\n5,e1,u,conversion,"a,""b"\r\n\r\n6,e2\r\n',
    )
    messages, problems = framed("clicks_conversions", path, "csv")
    (message,) = messages
    assert message.key == b"u"
    assert message.headers == [("contract_version", b"1")]
    (row,) = csv.reader([message.value.decode()])
    event = dict(zip(CSV_COLUMNS_BY_VERSION[1], row, strict=True))
    assert {name: cell for name, cell in event.items() if cell} == {
        "ts": "5",
        "event_id": "e1",
        "user_id": "u",
        "event_type": "conversion",
        "order_id": 'a,"b',
    }
    assert [(problem.line, problem.reason) for problem in problems] == [
        (4, "the row has 2 cells, the header has 5")
    ]


def test_the_columns_decide_the_contract_version(tmp_path: Path) -> None:
    path = written(tmp_path, "f.csv", "event_type,event_id,ts,landing_page\nclick,e,1,p\n")
    ((message,), _) = framed("clicks_conversions", path, "csv")
    assert message.headers == [("contract_version", b"2")]
    assert message.value.endswith(b",p")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("event_type,event_id,ts,colour\n", "'colour'"),
        ("event_type,event_id\n", "lacks ts"),
        ("event_type,event_id,ts,ts\n", "twice"),
        ("", "empty"),
        (b"event_type,event_id,ts\n\xff\xfe,a,1\n", "UTF-8"),
    ],
)
def test_a_csv_file_that_does_not_fit_is_refused(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    path = written(tmp_path, "f.csv", content)
    with pytest.raises(UnreadableFileError, match=words):
        framed("clicks_conversions", path, "csv")


def test_requests_are_framed_and_others_reported(
    tmp_path: Path, registry: FileSchemaRegistry
) -> None:
    good = {"id": "r1", "imp": [{"id": "1"}], "ext": {"a": [None]}}
    lines = [
        json.dumps(good),
        '{"id": 1, "imp": [{"id": "1"}]}',
        '{"id": "r", "imp": []}',
        '{"id": "r", "imp": [{"id": 2}]}',
        '{"id": "r", "imp": [{"id": "2"}], "x": 1e999}',
        '{"id": "r", "id": "s", "imp": [{"id": "2"}]}',
        "[" * 100_000,
        json.dumps(good),
    ]
    path = written(tmp_path, "f.ndjson", "\n".join(lines))
    messages, problems = framed(
        "bid_requests", path, "openrtb", registry=registry, exchange_id="adx1", received_at_us=5000
    )
    assert [problem.line for problem in problems] == [2, 3, 4, 5, 6, 7]
    assert [(message.key, message.timestamp_ms) for message in messages] == [(b"r1", 5)] * 2
    frame = decode_avro(pl.Series([message.value for message in messages]), registry).frame
    assert [rebuild_from_columns(row) for row in frame.iter_rows(named=True)] == [good, good]
    assert frame["exchange_id"].to_list() == ["adx1"] * 2
    assert frame["event_id"].n_unique() == 2


def test_feeding_a_file_again_sends_the_same_bytes(
    tmp_path: Path, registry: FileSchemaRegistry
) -> None:
    path = written(tmp_path, "f.ndjson", '{"id": "r1", "imp": [{"id": "1"}]}\n')
    first, _ = framed("bid_requests", path, "openrtb", registry=registry)
    second, _ = framed("bid_requests", path, "openrtb", registry=registry)
    assert first == second
    assert first[0].timestamp_ms == path.stat().st_mtime_ns // 1_000_000


def test_a_json_file_may_be_one_document_or_an_array_or_lines(
    tmp_path: Path, registry: FileSchemaRegistry
) -> None:
    one = {"id": "r1", "imp": [{"id": "1"}]}
    contents = [
        json.dumps(one, indent=2),
        json.dumps([one, {"id": 3}], indent=2),
        f"{json.dumps(one)}\n{{}}\n",
    ]
    counts = []
    for content in contents:
        path = written(tmp_path, "f.json", content)
        messages, problems = framed("bid_requests", path, "openrtb", registry=registry)
        counts.append((len(messages), [problem.line for problem in problems]))
    assert counts == [(1, []), (1, [2]), (1, [2])]


def test_raw_lines_are_not_looked_at(tmp_path: Path) -> None:
    path = written(tmp_path, "f", b"\x00\xff\nabc\r\n")
    messages, problems = framed("bid_requests", path, "raw")
    assert [message.value for message in messages] == [b"\x00\xff", b"abc"]
    assert problems == []


def test_without_a_listener_the_first_problem_raises(tmp_path: Path) -> None:
    path = written(tmp_path, "f.ndjson", "{}\n[]\n")
    with pytest.raises(UnreadableFileError, match="line 2: not a JSON object"):
        list(frame_file("ad_impressions", path, "ndjson"))


def test_formats_belong_to_topics(tmp_path: Path) -> None:
    path = written(tmp_path, "f", "")
    with pytest.raises(ValueError, match="ndjson or raw"):
        framed("ad_impressions", path, "csv")
    with pytest.raises(ValueError, match="no stream"):
        framed("clicks", path, "csv")
    with pytest.raises(ValueError, match="registry"):
        framed("bid_requests", path, "openrtb")


@needs_openrtb_requests
def test_the_real_file_gives_all_its_requests(registry: FileSchemaRegistry) -> None:
    messages, problems = framed("bid_requests", OPENRTB_REQUESTS, "openrtb", registry=registry)
    assert (len(messages), len(problems)) == (2775, 36)
    assert len({message.value for message in messages}) == 2775
