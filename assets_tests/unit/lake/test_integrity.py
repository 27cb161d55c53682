"""Active files are compared with the store: what is missing, cut short or unreadable is found."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.errors import LakeFileDamaged, LakeUnavailable
from adx_platform.lake.files import LakeFiles
from adx_platform.lake.holes import first_landed, missing_offsets
from adx_platform.lake.integrity import (
    Damage,
    VerifiedFiles,
    damage_explained,
    damaged_files,
    remove_missing,
)
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.reading import raw_snapshot
from adx_platform.lake.restatements import announce, list_restatements, restatements_table
from adx_platform.lake.sources import known_sources, register_sources, sources_table
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import LakeTable, raw_table

from .conftest import TOPIC_ID, FrameMaker

TOPIC = "ad_impressions"


@pytest.fixture
def table(storage: LakeStorage, raw_rows: FrameMaker) -> LakeTable:
    """Partition 2: offsets 5 to 35 in three files."""
    for start in (5, 15, 25):
        LandingHandle.open(storage, TOPIC).commit(
            raw_rows(2, start, start + 10), TOPIC_ID, [OffsetRange(2, start, start + 10)]
        )
    return raw_table(storage, TOPIC)


def paths(table: LakeTable) -> list[Path]:
    handle = table.find()
    assert handle is not None
    actions = pl.DataFrame(handle.get_add_actions(flatten=True)).sort("min.offset")
    return [Path(table.storage.table_uri(table.name), path) for path in actions["path"]]


def test_sound_files_and_an_absent_table_are_no_damage(
    table: LakeTable, storage: LakeStorage
) -> None:
    assert damaged_files(table, deep=True) == []
    assert damaged_files(raw_table(storage, "never_landed")) == []


def test_each_kind_of_damage_is_named_with_what_the_file_held(table: LakeTable) -> None:
    missing, truncated, unreadable = paths(table)
    missing.unlink()
    truncated.write_bytes(truncated.read_bytes()[:-1])
    unreadable.write_bytes(bytes(unreadable.stat().st_size))

    found = sorted(damaged_files(table), key=lambda item: item.ranges)

    assert [item.kind for item in found] == [Damage.MISSING, Damage.TRUNCATED, Damage.UNREADABLE]
    assert [item.ranges for item in found] == [
        (OffsetRange(2, start, start + 10),) for start in (5, 15, 25)
    ]
    assert {(i.stream, i.layer, i.topic_id, i.rows) for i in found} == {
        (TOPIC, "raw", TOPIC_ID, 10)
    }
    assert found[0].explain() == (
        f"raw/ad_impressions: file {missing.name} is missing, 10 rows within 2:[5, 15)"
    )
    assert damaged_files(table, within=[OffsetRange(2, 30, 31)]) == found[2:]
    assert damaged_files(table, within=[OffsetRange(1, 0, 99)]) == []


def test_what_was_verified_is_asked_for_its_size_only(
    table: LakeTable, monkeypatch: pytest.MonkeyPatch, raw_rows: FrameMaker
) -> None:
    opened: list[str] = []
    really = LakeFiles.open

    def counted(self: LakeFiles, path: str) -> object:
        if path.endswith(".parquet"):
            opened.append(path)
        return really(self, path)

    monkeypatch.setattr(LakeFiles, "open", counted)
    verified = VerifiedFiles()
    assert damaged_files(table, verified=verified) == []
    assert len(opened) == 3
    LandingHandle.open(table.storage, TOPIC).commit(
        raw_rows(2, 35, 40), TOPIC_ID, [OffsetRange(2, 35, 40)]
    )
    assert damaged_files(table, verified=verified) == []
    assert [Path(opened[3]).name] == [paths(table)[3].name]
    assert len(opened) == 4
    paths(table)[0].unlink()
    assert [item.kind for item in damaged_files(table, verified=verified)] == [Damage.MISSING]
    rewritten = paths(table)[1]
    rewritten.write_bytes(bytes(rewritten.stat().st_size))
    kinds = {item.kind for item in damaged_files(table, verified=verified)}
    assert kinds == {Damage.MISSING, Damage.UNREADABLE}


def test_taking_missing_files_out_keeps_cursors_and_leaves_holes(table: LakeTable) -> None:
    paths(table)[1].unlink()
    with damage_expected():
        snapshot = raw_snapshot(table.storage, TOPIC)
        assert snapshot is not None
        snapshot.read(TOPIC_ID, 2, 0, 40)

    remove_missing(table)
    remove_missing(table)

    snapshot = raw_snapshot(table.storage, TOPIC)
    assert snapshot is not None
    assert snapshot.next_offset(TOPIC_ID, 2) == 35
    assert snapshot.read(TOPIC_ID, 2, 0, 40).height == 20
    whole = [OffsetRange(2, 0, 35)]
    assert missing_offsets(snapshot, TOPIC_ID, whole) == (
        OffsetRange(2, 0, 5),
        OffsetRange(2, 15, 25),
    )
    assert missing_offsets(snapshot, TOPIC_ID, [OffsetRange(2, 18, 20)]) == (
        OffsetRange(2, 18, 25),
    )
    assert missing_offsets(snapshot, TOPIC_ID, [OffsetRange(7, 0, 9)]) == ()
    assert first_landed(snapshot.handle, TOPIC_ID) == {2: 5}
    assert damaged_files(table, deep=True) == []


def damage_expected() -> pytest.RaisesExc[LakeFileDamaged]:
    return pytest.raises(LakeFileDamaged, match=r"is missing.*Run `adx repair --stream")


def test_a_gap_row_before_a_range_covers_its_beginning(
    table: LakeTable, gap_row: FrameMaker
) -> None:
    LandingHandle.open(table.storage, TOPIC).commit(
        gap_row(2, 35, 100), TOPIC_ID, [OffsetRange(2, 35, 135)]
    )
    snapshot = raw_snapshot(table.storage, TOPIC)
    assert snapshot is not None
    assert missing_offsets(snapshot, TOPIC_ID, [OffsetRange(2, 60, 80)]) == ()
    DeltaTable(table.storage.table_uri(table.name)).delete('"offset" = 35')
    snapshot = raw_snapshot(table.storage, TOPIC)
    assert snapshot is not None
    # A lost gap row reached further than any statistic tells: up to the cursor here.
    assert missing_offsets(snapshot, TOPIC_ID, [OffsetRange(2, 35, 36)]) == (
        OffsetRange(2, 35, 135),
    )


def test_a_file_that_was_replaced_meanwhile_is_no_damage(table: LakeTable) -> None:
    with (
        pytest.raises(LakeUnavailable, match="was replaced meanwhile"),
        damage_explained(table, "reading"),
    ):
        raise FileNotFoundError("part-0")
    with pytest.raises(OSError, match="anything else"), damage_explained(table, "reading"):
        raise OSError("anything else")


def test_a_moved_file_is_whole_at_its_new_place(storage: LakeStorage, tmp_path: Path) -> None:
    files = LakeFiles(storage, str(tmp_path))
    (tmp_path / "a").write_bytes(b"content")
    assert files.move("a", "quarantine/1/a")
    assert not files.move("a", "quarantine/1/a")
    with files.open_whole("quarantine/1/a") as file:
        assert file.read() == b"content"
    assert [state.size for state in files.states(["a", "quarantine/1/a"])] == [None, 7]


def test_a_torn_file_of_a_small_table_is_named(storage: LakeStorage) -> None:
    # polars panics on it, which is no Exception: uncaught it would end the loop's thread.
    register_sources(storage, TOPIC, TOPIC_ID, [0, 1])
    announce(storage, TOPIC, TOPIC_ID, OffsetRange(0, 5, 10), reason="a test")
    for table, read in (
        (sources_table(storage), known_sources),
        (restatements_table(storage), list_restatements),
    ):
        (torn,) = Path(storage.table_uri(table.name)).glob("*.parquet")
        torn.write_bytes(torn.read_bytes()[:-20])

        with pytest.raises(LakeFileDamaged, match="earlier version of the bucket") as raised:
            read(storage, TOPIC)

        assert f"{table.name}: file {torn.name} is truncated" in str(raised.value)
