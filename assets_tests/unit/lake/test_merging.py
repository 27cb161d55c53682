"""Merges are few, bounded in size, and leave few files, whatever comes in whatever order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.lake.merging import LiveFile, plan_merges

BELOW, INTO = 1_000, 2_000


def live(number: int, rows: int, date: str = "2026-03-01") -> LiveFile:
    return LiveFile(f"f{number}", rows, rows, {"event_date": date}, (0, number))


def merged(files: list[LiveFile]) -> list[LiveFile]:
    """The files after one round, each as large as its rows."""
    merges = plan_merges(files, below=BELOW, into=INTO)
    gone = {file.path for merge in merges for file in merge}
    new = [
        replace(merge[0], size=rows, rows=rows)
        for merge in merges
        for rows in [sum(file.rows for file in merge)]
    ]
    return [file for file in files if file.path not in gone] + new


@given(st.lists(st.tuples(st.integers(1, 1_500), st.sampled_from(["2026-03-01", "2026-03-02"]))))
def test_a_merge_keeps_to_its_partition_its_order_and_its_size(
    sizes: list[tuple[int, str]],
) -> None:
    files = [live(number, rows, date) for number, (rows, date) in enumerate(sizes)]
    merges = plan_merges(files, below=BELOW, into=INTO)
    used = Counter(file.path for merge in merges for file in merge)
    assert set(used.values()) <= {1}
    for merge in merges:
        assert len(merge) > 1
        assert len({file.partition["event_date"] for file in merge}) == 1
        assert sum(file.size for file in merge) <= INTO
        assert all(file.size < BELOW for file in merge)
        assert [file.begins for file in merge] == sorted(file.begins for file in merge)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=400), st.integers(1, 20))
def test_what_is_left_is_few_and_what_is_written_is_little(rows: list[int], every: int) -> None:
    """A file at a time, merged now and then: files and rewrites grow with the logarithm."""
    files: list[LiveFile] = []
    written = 0
    for number, count in enumerate(rows):
        files.append(live(number, count))
        if number % every == 0:
            before = {file.path: file.rows for file in files}
            files = merged(files)
            written += sum(f.rows for f in files if before.get(f.path) != f.rows)
            small = [file for file in files if file.size < BELOW]
            assert len(small) <= log2(BELOW) + 2
    assert sum(file.rows for file in files) == sum(rows)
    # Each time that a row is written again its file has at least doubled.
    assert written <= sum(rows) * (log2(INTO) + 1)


def test_one_file_and_one_much_larger_one_are_left_alone() -> None:
    assert plan_merges([live(0, 10), live(1, 900)], below=BELOW, into=INTO) == []
    assert len(plan_merges([live(0, 10), live(1, 10)], below=BELOW, into=INTO)) == 1


def test_two_small_files_must_always_fit() -> None:
    with pytest.raises(ValueError, match="at least twice"):
        plan_merges([], below=BELOW, into=BELOW)
