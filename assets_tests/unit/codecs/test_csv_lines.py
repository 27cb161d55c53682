from __future__ import annotations

import csv
import io
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.codecs.csv_lines import CSV_SCHEMA, decode_csv
from adx_platform.codecs.result import DecodedBatch
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION

CLICK = {
    "event_type": "click",
    "event_id": "e1",
    "ts": "1790000000000000",
    "click_id": "k1",
    "impression_id": "i1",
    "user_id": "u1",
    "advertiser_id": "a1",
    "campaign_id": "c1",
    "ip": "192.0.2.1",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
    "gdpr_applies": "true",
    "landing_page": "https://shop.example/a?b=1",
}


def line(version: int = 1, **changes: str) -> bytes:
    values = {**CLICK, **changes}
    buffer = io.StringIO()
    cells = [values.get(name, "") for name in CSV_COLUMNS_BY_VERSION[version]]
    # With an empty line end the writer would leave line breaks unquoted.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n").encode()


def decode(*messages: bytes | None, versions: list[int | None] | None = None) -> DecodedBatch:
    stated = None if versions is None else pl.Series(versions, dtype=pl.Int32)
    return decode_csv(pl.Series(messages, dtype=pl.Binary), stated)


def only_reject(message: bytes | None, version: int | None = None) -> dict[str, Any]:
    batch = decode(message, versions=[version])
    assert batch.frame.is_empty()
    (reject,) = batch.rejects.to_dicts()
    return reject


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_becomes_typed_columns(end: bytes) -> None:
    batch = decode(line(value="12.5", currency="EUR", consent="false") + end)
    assert batch.rejects.is_empty()
    assert batch.frame.schema == CSV_SCHEMA
    row = batch.frame.row(0, named=True)
    assert row["ts"] == 1_790_000_000_000_000
    assert row["value_micros"] == 12_500_000
    assert row["gdpr_applies"] is True
    assert row["consent"] is False
    assert row["order_id"] is None
    assert row["user_agent"] == CLICK["user_agent"]
    assert row["wire_version"] == 1
    assert row["landing_page"] is None


def test_the_number_of_columns_tells_the_version_unless_the_header_does() -> None:
    batch = decode(line(1), line(2), line(2), versions=[None, None, 2])
    assert batch.frame["wire_version"].to_list() == [1, 2, 2]
    assert batch.frame["landing_page"].to_list()[1:] == [CLICK["landing_page"]] * 2


@pytest.mark.parametrize(
    ("message", "stated", "code"),
    [
        (None, None, "tombstone"),
        (b"", None, "empty_message"),
        (b"\r\n", None, "empty_message"),
        (b"a,b", None, "wrong_column_count"),
        (line(1), 2, "wrong_column_count"),
        (line(2), 1, "wrong_column_count"),
        (line(2), 9, "wrong_column_count"),
        (line(1) + b",x,y", None, "wrong_column_count"),
        (line(1).replace(b"e1", b'"e1'), None, "malformed_csv"),
        (line(1).replace(b"e1", b'e"1'), None, "malformed_csv"),
        (line(1).replace(b"e1", b'"e1"x'), None, "malformed_csv"),
        (line(1).replace(b"e1", b'"e"1"'), None, "malformed_csv"),
        (line(1).replace(b"e1", b"e\r1"), None, "malformed_csv"),
        (line(1).replace(b"e1", b"e\n1"), None, "malformed_csv"),
        (line(1) + b"\n\n", None, "malformed_csv"),
        (line(1) + b"\n" + line(1), None, "malformed_csv"),
        (line(1).replace(b"e1", b"\xff"), None, "invalid_encoding"),
        (line(event_id="e" * (1 << 20)), None, "too_large"),
    ],
)
def test_each_kind_of_broken_line_has_its_code(
    message: bytes | None, stated: int | None, code: str
) -> None:
    assert only_reject(message, stated)["reason_code"] == code


@pytest.mark.parametrize(
    "changes",
    [
        {"ts": "yesterday"},
        {"ts": "1.5"},
        {"ts": " 1"},
        {"ts": "+1"},
        {"ts": "9223372036854775808"},
        {"value": "1e3"},
        {"value": "1,5"},
        {"value": "0.1234567"},
        {"value": "NaN"},
        {"value": "."},
        {"value": "1."},
        {"value": "1234567890123"},
        {"gdpr_applies": "TRUE"},
        {"consent": "1"},
    ],
)
def test_a_wrong_type_names_the_column_and_the_shape(changes: dict[str, str]) -> None:
    reject = only_reject(line(**changes))
    ((name, value),) = changes.items()
    assert reject["reason_code"] == "wrong_type"
    assert reject["reason"].startswith(f"{name}: expected ")
    assert reject["reason"].endswith(f"got text of {len(value)} characters")
    assert reject["event_id"] == "e1"


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        ("0", 0),
        ("0.000001", 1),
        ("19.99", 19_990_000),
        ("-0.5", -500_000),
        ("-3", -3_000_000),
        ("007.10", 7_100_000),
        ("999999999999.999999", 999_999_999_999_999_999),
        ("90071992547.409931", 90_071_992_547_409_931),
    ],
)
def test_values_become_micros_without_rounding(value: str, micros: int) -> None:
    assert decode(line(value=value)).frame["value_micros"].to_list() == [micros]


def test_quoted_line_breaks_belong_to_the_field() -> None:
    batch = decode(line(click_id="a\nb"), line(click_id='c\r\n"d",'), line())
    assert batch.frame["click_id"].to_list() == ["a\nb", 'c\r\n"d",', "k1"]


@pytest.mark.parametrize("padding", ["x" * 200_000, '"' * 200_000, "\r\n" * 100_000])
def test_a_long_field_of_several_lines_does_not_stop_the_line(padding: str) -> None:
    """The csv module raises at a field of more than 131,072 characters."""
    long = f"a\n{padding}"
    batch = decode(line(), line(click_id=long), line())
    assert batch.rejects.is_empty()
    assert batch.frame["click_id"].to_list() == ["k1", long, "k1"]


def test_what_other_readers_of_csv_stumble_over_is_read_or_refused() -> None:
    sound = [line(click_id=text) for text in ("a\0b", "a\u2028b", "a\x85\x0b\x0cb", "#k1", "'k1'")]
    batch = decode(line(), *sound, line())
    assert batch.rejects.is_empty()
    assert batch.frame["click_id"].str.len_chars().to_list() == [2, 3, 3, 5, 3, 4, 2]
    odd = [
        b" " + line().replace(b"click", b'"click"', 1),
        line() + b"\r",
        line().replace(b",", b";"),
        line().replace(b",", b"\t"),
        line().decode().encode("utf-16"),
        ",".join(CSV_COLUMNS_BY_VERSION[1]).encode(),
        b'"',
        b'""',
        b"," * 1_000_000,
        line(click_id='"' * 100_000).replace(b'""', b'"', 1),
    ]
    codes = [only_reject(message)["reason_code"] for message in odd]
    assert codes == [
        "malformed_csv",
        "malformed_csv",
        "malformed_csv",
        "malformed_csv",
        "invalid_encoding",
        "wrong_type",
        "malformed_csv",
        "wrong_column_count",
        "wrong_column_count",
        "malformed_csv",
    ]


def test_an_empty_series_gives_empty_frames() -> None:
    batch = decode()
    assert batch.frame.schema == CSV_SCHEMA
    assert batch.rejects.is_empty()


cells = st.text(alphabet=st.sampled_from("a,\"' \r\n\t;#é\U0001f600\\0"), max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8))
def test_what_the_csv_module_wrote_is_read_back(rows: list[tuple[str, str, str]]) -> None:
    messages = [line(event_id=a, click_id=b, user_agent=c) for a, b, c in rows]
    batch = decode(*messages)
    assert batch.rejects.is_empty()
    read = batch.frame.select("event_id", "click_id", "user_agent").rows()
    assert read == [tuple(cell or None for cell in row) for row in rows]


broken = st.sampled_from(
    [None, b"", b"\n", b'"', b'a"b', b"\xff", b"x,y", line(ts="x"), line(click_id="q\nr"), line(2)]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(broken | st.just(line()) | st.binary(max_size=8), max_size=12))
def test_a_line_is_judged_the_same_in_any_company(messages: list[bytes | None]) -> None:
    together = decode(*messages)
    rows = together.frame["row"].to_list() + together.rejects["row"].to_list()
    assert sorted(rows) == list(range(len(messages)))
    assert together.frame["row"].is_sorted()
    by_row = {row["row"]: row for row in together.frame.to_dicts() + together.rejects.to_dicts()}
    for position, message in enumerate(messages):
        alone = decode(message)
        (expected,) = alone.frame.to_dicts() + alone.rejects.to_dicts()
        assert by_row[position] == {**expected, "row": position}
