from __future__ import annotations

import polars as pl

from adx_platform.contracts.streams import STREAMS
from adx_platform.refine.suppression import hash_of, holds, rows_of, without_the_erased

ANN, BOB = "a" * 64, "b" * 64
SCHEMA = STREAMS["bid_requests"].events_schema


def request(**values: object) -> pl.DataFrame:
    fields = {f.name: None for f in SCHEMA["user"].fields}
    device = {f.name: None for f in SCHEMA["device"].fields}
    row: dict[str, object] = {
        "event_id": "e",
        "user_agent": "Mozilla/5.0",
        "ip_prefix": "192.0.2.0/24",
        "geo_country": "DEU",
        "user": fields | {"yob": 1980},
        "device": device | {"ifa": BOB, "ip": "192.0.2.0/24", "os": "Android"},
    }
    return pl.DataFrame([row | values], schema=SCHEMA)


def test_a_row_is_somebodys_wherever_the_pseudonym_is() -> None:
    plain = request()
    identity = {f.name: None for f in SCHEMA["user"].fields}
    eids = [{f.name: None for f in SCHEMA["user"].to_schema()["eids"].inner.fields}]
    uid = SCHEMA["user"].to_schema()["eids"].inner.to_schema()["uids"].inner
    eids[0]["uids"] = [{f.name: None for f in uid.fields} | {"id": ANN}]  # type: ignore[assignment] # a struct's fields are untyped
    theirs = [
        request(user_id=ANN),
        request(user_id=BOB, user_id_previous=ANN),
        request(device=plain["device"][0] | {"ifa": ANN}),
        request(user=identity | {"buyeruid": ANN}),
        request(user=identity | {"eids": eids}),
        request(extension_json=f'{{"ext":{{"gaid":"{ANN}"}}}}'),
    ]
    rows = pl.concat([plain, *theirs, request(user_id=BOB, user=None, device=None)])
    wanted = [False, *([True] * len(theirs)), False]
    assert rows_of(rows, {hash_of(ANN)}).to_list() == wanted
    assert rows.select(holds(SCHEMA, {ANN})).to_series().to_list() == wanted
    assert not rows_of(rows, ()).any()


def test_what_leads_to_the_person_goes_and_the_rest_stays() -> None:
    rows = pl.concat([request(user_id=BOB), request(user_id=ANN, extension_json="{}")])
    kept = without_the_erased(rows, {hash_of(ANN)})
    assert kept.schema == rows.schema
    assert kept.row(0) == rows.row(0)
    ann = kept.row(1, named=True)
    for name in ("user_id", "ip_prefix", "user_agent", "user", "extension_json"):
        assert ann[name] is None, name
    assert (ann["device"]["ifa"], ann["device"]["ip"]) == (None, None)
    assert (ann["device"]["os"], ann["geo_country"], ann["event_id"]) == ("Android", "DEU", "e")


def test_streams_without_openrtb_objects_are_emptied_too() -> None:
    schema = STREAMS["clicks_conversions"].events_schema
    row = {"event_id": "c", "user_id": ANN, "value_micros": 5}
    kept = without_the_erased(pl.DataFrame([row], schema=schema), {hash_of(ANN)})
    assert kept.select("event_id", "user_id", "value_micros").row(0) == ("c", None, 5)
