"""Damaged lake files are found, taken out, and what they held is put back, or said to be gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.errors import LakeBeyondRepair, LakeFileDamaged, RangeAlreadyCommitted
from adx_platform.lake.integrity import Damage, damaged_files
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.lake.repairs import Step, open_repairs, repair_entries
from adx_platform.lake.tables import events_table, raw_table
from adx_platform.pipeline.continuity import ContinuityCheck
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.repair import repair_stream
from adx_platform.pipeline.reprocess import reprocess_range
from adx_platform.quality.conservation import OffsetEquation
from adx_platform.quality.lake_rows import recount_landing, refined_window
from adx_platform.streams.errors import TopicReplaced

from .conftest import MemoryBroker

STREAM = "ad_impressions"
LAYERS = ("raw", "events")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def scrambled(path: Path) -> None:
    """The same length and a good footer, but pages that do not decode."""
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little")
    for at in range(4, len(data) - 8 - footer):
        data[at] ^= 0xFF
    path.write_bytes(data)


def footer_scrambled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[-8:-4], "little")
    for at in range(len(data) - 8 - length, len(data) - 8, 3):
        data[at] ^= 0xFF
    path.write_bytes(data)


DAMAGES: list[Callable[[Path], None]] = [
    truncated,
    emptied,
    Path.unlink,
    scrambled,
    footer_scrambled,
]


def files(platform: Platform, layer: str) -> list[Path]:
    """The active files, oldest offsets first."""
    table = DeltaTable(platform.storage.table_uri(f"{layer}/{STREAM}"))
    actions = pl.DataFrame(table.get_add_actions(flatten=True)).sort("min.partition", "min.offset")
    folder = Path(platform.storage.table_uri(f"{layer}/{STREAM}"))
    return [folder / path for path in actions["path"]]


def rows(platform: Platform, layer: str) -> pl.DataFrame:
    opened = (
        raw_snapshot(platform.storage, STREAM)
        if layer == "raw"
        else events_snapshot(platform.storage, STREAM, AD_IMPRESSIONS.events_schema)
    )
    assert opened is not None
    return opened.scan().select(opened.table.schema.names()).sort("partition", "offset").collect()


def rows_as_read(platform: Platform, layer: str) -> list[pl.DataFrame]:
    """Every partition, by the reads that the platform itself uses."""
    opened = (
        raw_snapshot(platform.storage, STREAM)
        if layer == "raw"
        else events_snapshot(platform.storage, STREAM, AD_IMPRESSIONS.events_schema)
    )
    assert opened is not None
    return [opened.read("id-1", partition, 0, 10) for partition in range(3)]


def equations(platform: Platform) -> list[OffsetEquation]:
    landed = recount_landing(platform.storage, AD_IMPRESSIONS)
    return [*landed, *refined_window(platform.storage, AD_IMPRESSIONS).equations]


def is_conserved(platform: Platform) -> bool:
    return all(equation.verdict == "holds" for equation in equations(platform))


@pytest.fixture
def ingested(platform: Platform, broker: MemoryBroker) -> Platform:
    """Three partitions of ten offsets in batches of six, over two lanes."""
    for lane in (0, 1):
        ingest_lane(platform, STREAM, lane)
    assert is_conserved(platform)
    return platform


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("layer", LAYERS)
def test_what_a_damaged_file_held_is_put_back(
    ingested: Platform, layer: str, damage: Callable[[Path], None]
) -> None:
    before = {name: rows(ingested, name) for name in LAYERS}
    for path in files(ingested, layer)[1:3]:
        damage(path)

    report = repair_stream(ingested, STREAM)

    assert len(report.files) == 2
    assert report.changed
    assert rows(ingested, "raw").equals(before["raw"])
    assert rows(ingested, "events").drop("revision").equals(before["events"].drop("revision"))
    assert is_conserved(ingested)
    assert (report.landed > 0) == (layer == "raw")
    assert bool(report.restatements) == (layer == "events")
    again = repair_stream(ingested, STREAM)
    assert not again.changed
    assert again.explain() == "ad_impressions: every file is sound; nothing to repair"


def test_both_layers_may_be_torn_to_the_last_file(ingested: Platform) -> None:
    before = {name: rows(ingested, name) for name in LAYERS}
    for layer in LAYERS:
        for path in files(ingested, layer):
            truncated(path)

    repair_stream(ingested, STREAM)

    assert rows(ingested, "raw").equals(before["raw"])
    assert rows(ingested, "events").drop("revision").equals(before["events"].drop("revision"))
    assert is_conserved(ingested)
    assert ingest_lane(ingested, STREAM, 0) == []


def test_events_are_kept_where_the_broker_has_forgotten_the_raw_bytes(
    ingested: Platform, broker: MemoryBroker
) -> None:
    events = rows(ingested, "events")
    broker.low = dict.fromkeys(broker.values, 8)
    for path in files(ingested, "raw")[1:]:
        path.unlink()

    report = repair_stream(ingested, STREAM)

    assert report.past_retention
    assert all(span.end <= 8 for span in report.past_retention)
    assert "past retention, their events kept" in report.explain()
    assert rows(ingested, "events").equals(events)
    assert is_conserved(ingested)
    # Between rows of partitions 0 and 2; in partition 1 the beginning is gone, as by retention.
    assert sum(e.expired for e in equations(ingested)) == 10
    assert not repair_stream(ingested, STREAM).changed


def test_nothing_is_invented_for_what_nobody_has_and_it_is_mended_once_it_is_back(
    ingested: Platform, broker: MemoryBroker
) -> None:
    before = {name: rows(ingested, name) for name in LAYERS}
    broker.low = dict.fromkeys(broker.values, 4)
    for layer in LAYERS:
        for path in files(ingested, layer):
            emptied(path)

    with pytest.raises(LakeBeyondRepair, match=r"raw of topic id id-1: 0:\[0, 4\), 1:\[0, 4\)"):
        repair_stream(ingested, STREAM)

    assert rows(ingested, "raw").equals(before["raw"].filter(pl.col("offset") >= 4))
    left = rows(ingested, "events")
    assert left.select("partition", "offset").equals(
        rows(ingested, "raw").select("partition", "offset")
    )
    (number,) = {n for n, e in open_repairs(repair_entries(ingested.storage)).items() if e} - {1}
    with pytest.raises(LakeBeyondRepair):
        repair_stream(ingested, STREAM)
    steps = [e.step for e in repair_entries(ingested.storage) if e.number == number]
    assert steps.count(Step.BEYOND_REPAIR) == len(set(steps)) + 1 or Step.FINISHED not in steps

    broker.low = {}
    repair_stream(ingested, STREAM)

    assert rows(ingested, "raw").equals(before["raw"])
    assert rows(ingested, "events").drop("revision").equals(before["events"].drop("revision"))
    assert open_repairs(repair_entries(ingested.storage)) == {}


def test_the_records_of_another_topic_are_never_landed(
    ingested: Platform, broker: MemoryBroker
) -> None:
    victim = files(ingested, "raw")[0]
    held = pl.read_parquet(victim).row(0, named=True)
    victim.unlink()
    broker.values[held["partition"]][held["offset"]] = b"another message"

    with pytest.raises(TopicReplaced, match="is not the one that was refined"):
        repair_stream(ingested, STREAM)

    assert b"another message" not in rows(ingested, "raw")["value"].to_list()
    broker.topic_id = "id-2"
    report = repair_stream(ingested, STREAM)
    assert report.landed == 0
    assert report.past_retention


def test_the_records_of_a_topic_that_replaces_ours_while_it_is_read_are_never_landed(
    ingested: Platform, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither layer knows what was there: only the topic's identity can tell.
    monkeypatch.setattr(ContinuityCheck, "require_same_topic", lambda *_: None)
    for layer in LAYERS:
        files(ingested, layer)[0].unlink()
    broker.values = {p: [b"another message"] * 10 for p in broker.values}
    broker.replacement = "id-2"

    with pytest.raises(LakeBeyondRepair):
        repair_stream(ingested, STREAM)

    assert b"another message" not in rows(ingested, "raw")["value"].to_list()


def test_two_repairs_of_one_hole_fill_it_once(
    ingested: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(ingested, "raw")
    files(ingested, "raw")[0].unlink()
    fill = LandingHandle.fill
    losses = []

    def overtaken(self: LandingHandle, *args: object) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(LandingHandle, "fill", fill)
            repair_stream(ingested, STREAM)
        try:
            return fill(self, *args)  # type: ignore[arg-type] # passed on as is
        except RangeAlreadyCommitted:
            losses.append(args)
            raise

    with monkeypatch.context() as patch:
        patch.setattr(LandingHandle, "fill", overtaken)
        repair_stream(ingested, STREAM)

    assert len(losses) == 1
    assert rows(ingested, "raw").equals(before)


def test_an_ingest_between_the_steps_neither_fails_nor_is_disturbed(
    ingested: Platform, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (*files(ingested, "raw")[:2], *files(ingested, "events")[:2]):
        path.unlink()
    fill = LandingHandle.fill

    def beside(self: LandingHandle, *args: object) -> int:
        for partition, values in broker.values.items():
            values.append(b"%d/%d" % (partition, len(values)))
        for lane in (0, 1):
            assert ingest_lane(ingested, STREAM, lane)
        return fill(self, *args)  # type: ignore[arg-type] # passed on as is

    with monkeypatch.context() as patch:
        patch.setattr(LandingHandle, "fill", beside)
        report = repair_stream(ingested, STREAM)

    assert report.landed > 0
    assert is_conserved(ingested)
    places = rows(ingested, "raw").select("partition", "offset").rows()
    assert places == [(p, o) for p, v in broker.values.items() for o in range(len(v))]


def test_a_gap_that_a_lost_file_held_comes_back_as_the_same_gap(
    platform: Platform, broker: MemoryBroker
) -> None:
    ingest_lane(platform, STREAM, 1)
    broker.values[1] += [b"later"] * 20
    broker.low = {1: 25}
    ingest_lane(platform, STREAM, 1)
    before = rows(platform, "raw")
    assert before.filter(pl.col("gap_kind") == "lost")["gap_length"].to_list() == [15]
    for layer in LAYERS:
        (lost,) = (
            path
            for path in files(platform, layer)
            if pl.read_parquet(path, hive_partitioning=False)["gap_length"].is_not_null().any()
        )
        lost.unlink()
        repair_stream(platform, STREAM)

    assert rows(platform, "raw").equals(before)
    assert is_conserved(platform)


def test_a_read_of_a_damaged_file_names_it_and_the_remedy(ingested: Platform) -> None:
    for layer, table in (
        ("raw", raw_table(ingested.storage, STREAM)),
        ("events", events_table(ingested.storage, STREAM, AD_IMPRESSIONS.events_schema)),
    ):
        path = files(ingested, layer)[0]
        scrambled(path)
        assert damaged_files(table) == []
        (found,) = damaged_files(table, deep=True)
        assert (found.kind, found.layer, found.stream) == (Damage.UNREADABLE, layer, STREAM)
        message = f"{path.name} is unreadable.*adx repair --stream"
        with pytest.raises(LakeFileDamaged, match=message):
            rows_as_read(ingested, layer)
    with pytest.raises(LakeFileDamaged):
        reprocess_range(ingested, STREAM, [OffsetRange(p, 0, 10) for p in range(3)], reason="x")


def test_nothing_is_destroyed(ingested: Platform) -> None:
    victim = files(ingested, "raw")[0]
    truncated(victim)
    content = victim.read_bytes()

    repair_stream(ingested, STREAM)

    kept = Path(ingested.storage.uri, "quarantine", "1", "raw", STREAM, victim.name)
    assert kept.read_bytes() == content
    assert not victim.exists()
    shutil.rmtree(Path(ingested.storage.uri, "quarantine"))
    assert is_conserved(ingested)


def test_rows_that_are_missing_without_a_damaged_file_are_put_back_as_well(
    ingested: Platform,
) -> None:
    before = {name: rows(ingested, name) for name in LAYERS}
    for layer in LAYERS:
        table = DeltaTable(ingested.storage.table_uri(f"{layer}/{STREAM}"))
        table.delete('partition = 1 AND "offset" >= 4 AND "offset" < 7')
    assert not is_conserved(ingested)

    report = repair_stream(ingested, STREAM)

    assert (report.landed, report.files) == (3, ())
    assert rows(ingested, "raw").equals(before["raw"])
    assert rows(ingested, "events").drop("revision").equals(before["events"].drop("revision"))
    assert is_conserved(ingested)


def test_what_retention_dropped_is_not_taken_for_missing(
    ingested: Platform, broker: MemoryBroker
) -> None:
    table = DeltaTable(ingested.storage.table_uri(f"raw/{STREAM}"))
    table.delete('"offset" < 4')
    kept = rows(ingested, "raw")
    report = repair_stream(ingested, STREAM)
    assert not report.changed
    assert rows(ingested, "raw").equals(kept)


def test_a_loss_is_recorded_only_when_a_person_accepts_it(
    ingested: Platform, broker: MemoryBroker
) -> None:
    broker.low = dict.fromkeys(broker.values, 4)
    for layer in LAYERS:
        for path in files(ingested, layer):
            path.unlink()
    with pytest.raises(LakeBeyondRepair, match="--accept-loss"):
        repair_stream(ingested, STREAM)

    report = repair_stream(ingested, STREAM, accept_loss=True)

    assert report.lost == 12
    assert "12 offsets recorded as lost" in report.explain()
    assert is_conserved(ingested)
    assert sum(e.lost for e in equations(ingested)) == 24
    assert not repair_stream(ingested, STREAM).changed
    assert open_repairs(repair_entries(ingested.storage)) == {}
