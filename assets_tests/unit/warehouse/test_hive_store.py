"""Versions of the Hive engine's folder in which an hour goes, and what is swept of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from adx_platform.warehouse.hive_store import HiveStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX locks")
ROWS = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
EARLY, LATE = ("raw.clicks", "2026-03-02-00"), ("raw.clicks", "2026-03-02-01")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HiveStore]:
    made = HiveStore(tmp_path)
    yield made
    made.close()


def test_rows_are_added_without_copying_those_that_are_there(store: HiveStore) -> None:
    key = ("control.expired_offsets", "")
    first = store.write(*key, ROWS)
    second = store.write(*key, ROWS.with_columns(c=pl.lit(3)), after=first)

    assert (first.rows, second.rows) == (2, 4)
    assert store.read(first).equals(ROWS)
    assert sorted(store.read(second).rows(), key=repr) == sorted(
        [(1, "x", 3), (2, "y", 3), (1, "x", None), (2, "y", None)], key=repr
    )
    (file,) = (store.root / first.folder).iterdir()
    assert file.samefile(store.root / second.folder / file.name)
    store.commit(store.latest(), {key: second})
    assert store.sweep(1) == 1
    assert store.read(second).height == 4, "what a later copy still has is not swept"


def test_an_hour_that_goes_is_in_no_later_version_and_its_folder_is_swept(
    store: HiveStore,
) -> None:
    first = store.commit(store.latest(), {key: store.write(*key, ROWS) for key in (EARLY, LATE)})

    second = store.commit(first, {EARLY: None})

    assert second.slots == {LATE: first.slots[LATE]}
    assert store.latest() == second
    assert store.read(first.slots[EARLY]).equals(ROWS), "a query may still be on it"
    assert store.sweep(second.number, kept_seconds=-60) == 1
    assert not (store.root / "copies" / EARLY[0] / EARLY[1]).exists()
    assert store.read(second.slots[LATE], ["b"])["b"].to_list() == ["x", "y"]
    assert store.commit(second, {EARLY: None}).slots == second.slots, "again is no error"
