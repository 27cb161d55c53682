from __future__ import annotations

import json
from typing import Any

import pytest

from adx_platform.contracts.evolution import compare, noted_fields

REQUIRED = object()


def record(name: str = "a.R", **fields: Any) -> str:
    """An optional field has null as its default; a required one is given as (REQUIRED, type)."""
    entries = []
    for field, kind in fields.items():
        if isinstance(kind, tuple):
            entries.append({"name": field, "type": kind[1]})
        else:
            entries.append({"name": field, "type": ["null", kind], "default": None})
    return json.dumps({"type": "record", "name": name, "fields": entries})


def nested(**fields: Any) -> dict[str, Any]:
    return {"type": "array", "items": json.loads(record("a.Inner", **fields))}


CONTRACT = record(id=(REQUIRED, "string"), price="long", items=nested(w="int"))


def test_documentation_and_order_of_branches_make_no_difference() -> None:
    other = json.loads(CONTRACT)
    other["doc"] = "x"
    other["fields"][1]["type"].reverse()
    assert compare(json.dumps(other), CONTRACT).kind == "identical"


def test_added_fields_pass_and_are_noted() -> None:
    writer = record(
        id=(REQUIRED, "string"), price="long", items=nested(w="int", h="int"), new="string"
    )
    found = compare(writer, CONTRACT)
    assert (found.kind, found.added) == ("compatible", ("new", "items[].h"))


def test_a_missing_optional_field_passes() -> None:
    found = compare(record(id=(REQUIRED, "string")), CONTRACT)
    assert (found.kind, found.missing) == ("compatible", ("price", "items"))


def test_a_required_writer_fits_an_optional_contract() -> None:
    writer = record(id=(REQUIRED, "string"), price=(REQUIRED, "long"), items=nested(w="int"))
    assert compare(writer, CONTRACT).kind == "identical"


WIDER = ["int", "long", "float", "double"]


@pytest.mark.parametrize("written", WIDER)
@pytest.mark.parametrize("wanted", WIDER)
def test_numbers_widen_in_one_direction(written: str, wanted: str) -> None:
    found = compare(record(x=written), record(x=wanted))
    difference = WIDER.index(wanted) - WIDER.index(written)
    if difference == 0:
        assert found.kind == "identical"
    elif difference > 0:
        assert (found.kind, found.widened) == ("compatible", (f"x: {written} -> {wanted}",))
    else:
        assert found.kind == "incompatible"
        assert "cannot hold" in found.problems[0]


@pytest.mark.parametrize(("written", "wanted"), [("string", "bytes"), ("bytes", "string")])
def test_text_and_bytes_read_as_each_other(written: str, wanted: str) -> None:
    assert compare(record(x=written), record(x=wanted)).widened == (f"x: {written} -> {wanted}",)


@pytest.mark.parametrize(
    ("writer", "problem"),
    [
        (record(price="long"), "id is required but the writer does not have it"),
        (record(id="string", price="long"), "id may be null but is required"),
        (record(id=(REQUIRED, "string"), price="string"), "price is written as string"),
        (record(id=(REQUIRED, "string"), Price="long"), "price was renamed to Price"),
        (record(id=(REQUIRED, "string"), items=nested(w="long")), "items[].w is written as long"),
        (record(id=(REQUIRED, "string"), items="string"), "items is written as string"),
        (record("a.Other", id=(REQUIRED, "string")), "the record is called 'a.Other'"),
        ('{"type": "record"}', "invalid"),
        ("not json", "not JSON"),
        ('"string"', "the record is written as string"),
    ],
)
def test_everything_else_is_incompatible(writer: str, problem: str) -> None:
    found = compare(writer, CONTRACT)
    assert found.kind == "incompatible"
    assert problem in "; ".join(found.problems)


def enum(*symbols: str) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols)}


def test_enum_symbols_neither_vanish_nor_appear() -> None:
    contract = record(x=enum("A", "B"))
    assert compare(record(x=enum("B", "A")), contract).kind == "identical"
    assert compare(record(x=enum("A")), contract).problems == ("x lost the symbols B",)
    assert "contract lacks: C" in compare(record(x=enum("A", "B", "C")), contract).problems[0]


def test_a_unit_that_changes_is_another_type() -> None:
    def timed(logical: str | None) -> str:
        return record(at={"type": "long", "logicalType": logical} if logical else "long")

    micros = timed("timestamp-micros")
    assert compare(micros, micros).kind == "identical"
    assert compare(timed("timestamp-millis"), micros).kind == "incompatible"
    assert compare(timed(None), micros).kind == "incompatible"


def test_a_record_that_contains_itself_is_compared_once() -> None:
    tree = json.dumps(
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": "next", "type": ["null", "R"]}, {"name": "v", "type": "int"}],
        }
    )
    assert compare(tree, tree).kind == "identical"


def test_noted_fields_are_what_the_contract_lacks() -> None:
    assert noted_fields(["b", "a", "c"], ["a"]) == ("b", "c")
