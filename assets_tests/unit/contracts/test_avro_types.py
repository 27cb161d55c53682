from __future__ import annotations

import json

import pytest

from adx_platform.contracts.avro_types import (
    InvalidAvroSchemaError,
    Record,
    expanded_size,
    has_weightless_items,
    is_recursive,
    parse_avro,
)


def schema(*fields: tuple[str, object], name: str = "R") -> dict[str, object]:
    entries = [{"name": field, "type": kind} for field, kind in fields]
    return {"type": "record", "name": name, "namespace": "n.s", "fields": entries}


def parsed(*fields: tuple[str, object]) -> Record:
    record = parse_avro(json.dumps(schema(*fields)))
    assert isinstance(record, Record)
    return record


def test_names_are_resolved_in_their_namespace() -> None:
    inner = schema(("x", "int"), name="Inner")
    record = parsed(("a", inner), ("b", "Inner"), ("c", "n.s.Inner"))
    assert record.full_name == "n.s.R"
    assert record.fields["a"].type is record.fields["b"].type is record.fields["c"].type


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "3",
        '"unheard"',
        '["null", ["int"]]',
        '{"type": "array"}',
        '{"type": "enum", "name": "E"}',
        '{"type": "fixed", "name": "F", "size": -1}',
        '{"type": "record", "name": "R", "fields": [{"type": "int"}]}',
        json.dumps(schema(("a", "int"), ("a", "int"))),
        "[" * 100_000,
        '{"type": "array", "items": ' * 100 + '"int"' + "}" * 100,
    ],
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(InvalidAvroSchemaError):
        parse_avro(text)


def test_recursion_is_seen() -> None:
    assert is_recursive(parsed(("next", ["null", "R"])))
    assert not is_recursive(parsed(("a", schema(("x", "int"), name="I")), ("b", "I")))


def test_a_record_that_never_ends_is_refused() -> None:
    with pytest.raises(InvalidAvroSchemaError, match="always contains itself"):
        expanded_size(parsed(("again", "R")))
    assert expanded_size(parsed(("next", ["null", "R"]))) < 10


def test_a_schema_that_doubles_with_every_record_is_counted_in_full() -> None:
    kind: object = "null"
    again: object = "null"
    for number in range(30):
        kind = schema(("a", kind), ("b", again), name=f"T{number}")
        again = f"T{number}"
    assert expanded_size(parse_avro(json.dumps(kind))) > 2**30


def test_lists_of_nothing_are_seen() -> None:
    empty = schema(name="Empty")
    assert has_weightless_items(parsed(("a", {"type": "array", "items": "null"})))
    assert has_weightless_items(parsed(("a", ["null", {"type": "array", "items": empty}])))
    assert not has_weightless_items(parsed(("a", {"type": "array", "items": ["null", "int"]})))
