from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adx_platform.contracts.openrtb import (
    BID_REQUEST,
    EXTENSION_FIELD,
    OPENRTB_COLUMNS,
    rebuild,
    rebuild_from_columns,
    shred,
)
from adx_platform.contracts.openrtb.nodes import Array, Leaf, Node, Object
from assets_tests.real_data import OPENRTB_REQUESTS, needs_openrtb_requests

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**33), 2**33)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["\ud800", "a\udfff", "", "1", "~/"])
)
any_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def values_of(node: Node) -> st.SearchStrategy[object]:
    """Values that fit the node, now and then one that does not."""
    if isinstance(node, Leaf):
        fitting = {
            "string": st.text(max_size=6),
            "double": st.floats(allow_nan=False, allow_infinity=False),
        }.get(node.avro, st.integers(0, 3))
        return fitting | fitting | fitting | scalars
    if isinstance(node, Array):
        return st.lists(values_of(node.items), max_size=3) | any_json
    return objects_of(node) | objects_of(node) | any_json


def objects_of(node: Object) -> st.SearchStrategy[dict[str, object]]:
    def chosen(names: list[str]) -> st.SearchStrategy[dict[str, object]]:
        return st.fixed_dictionaries({name: values_of(node.members[name]) for name in names})

    known = st.lists(st.sampled_from(sorted(node.members)), max_size=4, unique=True).flatmap(chosen)
    foreign = st.dictionaries(st.sampled_from(["ext", "a/b", "~", "", "ID"]), any_json, max_size=2)
    return st.builds(lambda left, right: {**right, **left}, known, foreign)


@given(st.dictionaries(st.text(max_size=5), any_json, max_size=4))
def test_any_object_comes_back(openrtb: dict[str, object]) -> None:
    assert rebuild(shred(openrtb)) == openrtb


@settings(max_examples=60)
@given(objects_of(BID_REQUEST))
def test_objects_shaped_like_requests_come_back(openrtb: dict[str, object]) -> None:
    assert rebuild(shred(openrtb)) == openrtb


@settings(max_examples=60)
@given(objects_of(BID_REQUEST))
def test_a_frame_holds_what_shred_gives(openrtb: dict[str, object]) -> None:
    record = shred(openrtb)
    columns = {column.name: column.dtype for column in OPENRTB_COLUMNS}
    row = {name: record[name] for name in columns}
    row |= {
        "request_id": record["id"],
        "auction_type": record["at"],
        "tmax_ms": record["tmax"],
        "is_test": None if record["test"] is None else record["test"] == 1,
    }
    frame = pl.DataFrame(
        [row],
        schema={
            **columns,
            "request_id": pl.String,
            "auction_type": pl.Int32,
            "tmax_ms": pl.Int64,
            "is_test": pl.Boolean,
        },
    )
    assert rebuild_from_columns(frame.row(0, named=True)) == openrtb


@pytest.mark.parametrize(
    ("openrtb", "pointer"),
    [
        ({"at": "1"}, "/at"),
        ({"at": True}, "/at"),
        ({"at": 2**31}, "/at"),
        ({"tmax": 2**63}, "/tmax"),
        ({"test": 2}, "/test"),
        ({"id": None}, "/id"),
        ({"id": "\ud83d"}, "/id"),
        ({"site": {}}, "/site"),
        ({"site": {"ext": 1}}, "/site"),
        ({"site": {"id": "1", "ext": 1}}, "/site/ext"),
        ({"cur": []}, "/cur"),
        ({"cur": ["USD", 1]}, "/cur"),
        ({"imp": [{}]}, "/imp"),
        ({"imp": [{"id": "1"}, {"x/y~": 1}]}, "/imp/1"),
        ({"imp": [{"id": "1", "x/y~": 1}]}, "/imp/0/x~1y~0"),
        ({"device": {"ip": "1.2.3.4", "pxratio": 2**53 + 1}}, "/device/pxratio"),
    ],
)
def test_what_a_column_cannot_give_back_is_in_the_extension(
    openrtb: dict[str, object], pointer: str
) -> None:
    record = shred(openrtb)
    assert list(json.loads(record[EXTENSION_FIELD])) == [pointer]
    assert rebuild(record) == openrtb


def test_a_fully_modelled_request_needs_no_extension() -> None:
    openrtb = {"id": "a", "imp": [{"id": "1", "banner": {"format": [{"w": 300, "h": 250}, {}]}}]}
    record = shred(openrtb)
    assert record[EXTENSION_FIELD] is None
    assert rebuild(record) == openrtb


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        shred({"ext": {"price": float("nan")}})


def test_names_differ_in_more_than_case() -> None:
    def check(node: Node) -> None:
        if isinstance(node, Array):
            check(node.items)
        elif isinstance(node, Object):
            assert len({name.lower() for name in node.members}) == len(node.members)
            for member in node.members.values():
                check(member)

    check(BID_REQUEST)


@needs_openrtb_requests
def test_every_real_request_comes_back() -> None:
    requests = [json.loads(line) for line in OPENRTB_REQUESTS.read_bytes().splitlines()]
    objects = [request for request in requests if isinstance(request, dict)]
    assert len(objects) >= 2775
    assert [request for request in objects if rebuild(shred(request)) != request] == []
