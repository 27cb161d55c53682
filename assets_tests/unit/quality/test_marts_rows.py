"""The built warehouse is balanced against what was loaded, and a due build is noticed."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import polars as pl
import pytest

from adx_platform.quality.marts_rows import event_balances, marts_equations, unbuilt

SETUP = """
create schema raw; create schema intermediate; create schema marts; create schema control;
create table raw.clicks as select * from range(6) t(kafka_offset);
create table intermediate.int_clicks_classified as
    select case when i < 4 then 'accepted' when i = 4 then 'duplicate' else 'conflict' end
        as disposition from range(6) t(i);
create table intermediate.int_clicks_deduped as select * from range(4) t(i);
create table marts.conservation_offsets as
    select 'clicks_conversions' as stream, 't' as topic_id, 0 as partition_id,
        10 as start_offset, 20 as end_offset, 0 as repeated_offsets, 4 as accepted,
        2 as rejected, 1 as duplicate, 1 as conflict, 2 as absent, 0 as lost;
create table control.loads (load_id bigint);
create table control.builds (to_load_id bigint, completed_at timestamp);
create table control.reference_loads (table_name varchar, loaded_at timestamp);
"""


class Store:
    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(SETUP)

    def query(self, sql: str) -> pl.DataFrame:
        return pl.DataFrame(self.connection.sql(sql).to_arrow_table())


@pytest.fixture
def store() -> Iterator[Store]:
    built = Store()
    yield built
    built.connection.close()


def test_loaded_rows_are_winners_duplicates_or_conflicts(store: Store) -> None:
    (balance,) = event_balances(store.query, ["clicks"])

    assert balance.holds
    assert (balance.loaded, balance.accepted, balance.duplicate, balance.conflict) == (6, 4, 1, 1)


@pytest.mark.parametrize(
    "damage",
    [
        "insert into raw.clicks values (99)",
        "delete from intermediate.int_clicks_classified where disposition = 'duplicate'",
        "insert into intermediate.int_clicks_deduped values (99)",
    ],
)
def test_an_imbalance_is_found(store: Store, damage: str) -> None:
    store.connection.execute(damage)

    (balance,) = event_balances(store.query, ["clicks"])

    assert not balance.holds
    assert balance.explain().endswith("broken")


def test_an_unknown_class_is_not_overlooked(store: Store) -> None:
    store.connection.execute("insert into intermediate.int_clicks_classified values ('mislaid')")

    with pytest.raises(ValueError, match="mislaid"):
        event_balances(store.query, ["clicks"])


def test_the_equation_of_the_marts_holds(store: Store) -> None:
    (equation,) = marts_equations(store.query)

    assert equation.verdict == "holds"
    assert (equation.layer, equation.end - equation.start, equation.counted) == ("marts", 10, 10)


@pytest.mark.parametrize(
    ("damage", "missing", "doubled"),
    [
        ("update marts.conservation_offsets set accepted = 3", 1, 0),
        ("update marts.conservation_offsets set repeated_offsets = 2", 0, 2),
        ("update marts.conservation_offsets set accepted = 5", 0, 0),
    ],
)
def test_damage_in_the_marts_is_found(
    store: Store, damage: str, missing: int, doubled: int
) -> None:
    store.connection.execute(damage)

    (equation,) = marts_equations(store.query)

    assert (equation.verdict, equation.missing, equation.doubled) == ("broken", missing, doubled)


def test_a_build_is_due_after_a_load_and_after_a_change_of_reference_data(store: Store) -> None:
    run = store.connection.execute
    run("insert into control.reference_loads values ('fx_rates', '2026-03-01 10:00:00')")
    assert not unbuilt(store.query)

    run("insert into control.loads values (1), (2)")
    assert unbuilt(store.query).loads == 2

    run("insert into control.builds values (2, '2026-03-01 11:00:00')")
    assert not unbuilt(store.query)

    run("insert into control.reference_loads values ('advertisers', '2026-03-01 12:00:00')")
    assert unbuilt(store.query).references == ("advertisers",)
