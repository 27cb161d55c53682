"""The warehouse is recounted from its rows, whatever the loader's books say."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import polars as pl
import pytest

from adx_platform.quality.warehouse_rows import loaded_bounds, recount_warehouse

TOPIC = "it's-a-topic"
EVENT_TABLES = ("raw.clicks", "raw.conversions")


class Store:
    """The loader's tables, reduced to what a recount reads."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for statement in (
            "create schema raw",
            "create schema control",
            *(
                f"create table {table} (topic_id varchar, partition_id integer,"
                " kafka_offset bigint, disposition varchar)"
                for table in EVENT_TABLES
            ),
            (
                "create table raw.rejects (stream varchar, topic_id varchar, partition_id integer,"
                " kafka_offset bigint)"
            ),
            (
                "create table raw.gaps (stream varchar, topic_id varchar, partition_id integer,"
                " kafka_offset bigint, gap_kind varchar, gap_length bigint)"
            ),
            (
                "create table control.cursors (stream varchar, topic_id varchar,"
                " partition_id integer, next_offset bigint)"
            ),
            (
                "create table control.load_ranges (stream varchar, topic_id varchar,"
                " partition_id integer, start_offset bigint, end_offset bigint, kind varchar)"
            ),
            (
                "create table control.expired_offsets (stream varchar, topic_id varchar,"
                " partition_id integer, start_offset bigint, end_offset bigint)"
            ),
        ):
            self.connection.execute(statement)

    def insert(self, table: str, *values: object) -> None:
        marks = ", ".join("?" for _ in values)
        self.connection.execute(f"insert into {table} values ({marks})", list(values))

    def query(self, sql: str) -> pl.DataFrame:
        return pl.DataFrame(self.connection.sql(sql).to_arrow_table())


@pytest.fixture
def store() -> Iterator[Store]:
    filled = Store()
    filled.insert("raw.clicks", TOPIC, 0, 3, "accepted")
    filled.insert("raw.conversions", TOPIC, 0, 4, "duplicate")
    filled.insert("raw.rejects", "clicks_conversions", TOPIC, 0, 5)
    filled.insert("raw.rejects", "ad_impressions", "another", 0, 99)
    filled.insert("raw.gaps", "clicks_conversions", TOPIC, 0, 6, "lost", 4)
    filled.insert("raw.clicks", TOPIC, 0, 10, "conflict")
    filled.insert("control.cursors", "clicks_conversions", TOPIC, 0, 11)
    filled.insert("control.load_ranges", "clicks_conversions", TOPIC, 0, 3, 7, "forward")
    filled.insert("control.load_ranges", "clicks_conversions", TOPIC, 0, 7, 11, "forward")
    yield filled
    filled.connection.close()


def test_offsets_of_events_rejects_and_gaps_add_up(store: Store) -> None:
    (equation,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES)

    assert equation.verdict == "holds"
    assert (equation.start, equation.end, equation.lost, equation.rejected) == (3, 11, 4, 1)
    assert (equation.accepted, equation.duplicate, equation.conflict) == (1, 1, 1)


@pytest.mark.parametrize(
    ("damage", "missing", "doubled"),
    [
        ("delete from raw.clicks where kafka_offset = 3", 1, 0),
        ("delete from raw.gaps", 4, 0),
        ("insert into raw.clicks select * from raw.conversions", 0, 1),
        ("update control.cursors set next_offset = 13", 2, 0),
    ],
)
def test_damage_is_found(store: Store, damage: str, missing: int, doubled: int) -> None:
    store.connection.execute(damage)

    (equation,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES)

    assert (equation.verdict, equation.missing, equation.doubled) == ("broken", missing, doubled)


def test_a_run_stands_for_rows_past_their_retention(store: Store) -> None:
    store.connection.execute("delete from raw.clicks where kafka_offset = 3")
    store.connection.execute("delete from raw.conversions")
    store.insert("control.expired_offsets", "clicks_conversions", TOPIC, 0, 3, 5)
    store.insert("control.expired_offsets", "ad_impressions", TOPIC, 0, 5, 6)

    (equation,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES)
    assert (equation.verdict, equation.expired, equation.accepted) == ("holds", 2, 0)
    assert "expired 2" in equation.explain()
    for tail in (1, 7, 8):
        (cut,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES, tail=tail)
        assert cut.verdict == "holds"

    store.insert("control.expired_offsets", "clicks_conversions", TOPIC, 0, 4, 6)
    (equation,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES)
    assert (equation.verdict, equation.doubled) == ("broken", 2)


@pytest.mark.parametrize("tail", [1, 3, 5, 8, 100])
def test_the_tail_alone_holds_wherever_it_begins(store: Store, tail: int) -> None:
    (equation,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES, tail=tail)

    assert equation.verdict == "holds"
    assert equation.end - equation.start == min(tail, 8)


def test_damage_before_the_tail_is_left_to_the_full_recount(store: Store) -> None:
    store.connection.execute("delete from raw.clicks where kafka_offset = 3")

    (tail,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES, tail=2)
    (full,) = recount_warehouse(store.query, "clicks_conversions", EVENT_TABLES)

    assert (tail.verdict, full.verdict) == ("holds", "broken")


def test_nothing_loaded_is_nothing_to_count(store: Store) -> None:
    assert recount_warehouse(store.query, "bid_requests", ()) == ()
    assert loaded_bounds(store.query, "bid_requests").cursors == {}
