"""What the checks say about damaged files: which, what they held, and how to mend them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.repairs import RepairEntry, Step, announce_repair, note_repair
from adx_platform.orchestration import keys
from adx_platform.orchestration.checks_integrity import (
    FILES_HISTORY,
    FILES_INTACT,
    integrity_results,
)
from adx_platform.orchestration.checks_lake import lake_results
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.quality.incidents.documents import REMEDY_METADATA, remedy_from
from adx_platform.quality.incidents.model import Action
from adx_platform.settings import Settings

STREAM = STREAMS["clicks_conversions"]
RAW, EVENTS = keys.raw_key(STREAM.name), keys.events_key(STREAM.name)


@pytest.fixture
def line(settings: Settings) -> Line:
    """Five messages, landed and refined."""
    platform = open_platform(settings)
    rows = [("id", 0, offset, None, None, None, None, b"x", None) for offset in range(5)]
    raw = pl.DataFrame(rows, schema=RAW_SCHEMA, orient="row")
    platform.landing(STREAM).commit(raw, "id", [OffsetRange(0, 0, 5)])
    assert refine_pending(platform, STREAM, 0) is not None
    return Line(settings)


def results(line: Line, *, deep: bool = False) -> dict[dg.AssetKey | None, dg.AssetCheckResult]:
    return {result.asset_key: result for result in integrity_results(line, STREAM, deep=deep)}


def only_file(line: Line, name: str) -> Path:
    (path,) = Path(line.storage.table_uri(name)).rglob("*.parquet")
    return path


def test_sound_files_pass_both_checks(line: Line) -> None:
    for deep, name in ((False, FILES_INTACT), (True, FILES_HISTORY)):
        found = results(line, deep=deep)
        assert set(found) == {RAW, EVENTS}
        assert {(result.passed, result.check_name) for result in found.values()} == {(True, name)}


def test_a_torn_file_fails_its_layer_with_the_ranges_to_repair(line: Line) -> None:
    only_file(line, f"raw/{STREAM.topic}").write_bytes(b"PAR1")

    found = results(line)

    assert found[EVENTS].passed
    assert not found[RAW].passed
    assert found[RAW].severity == dg.AssetCheckSeverity.ERROR
    assert "is truncated, 5 rows within 0:[0, 5)" in (found[RAW].description or "")
    remedy = remedy_from(found[RAW].metadata[REMEDY_METADATA].value)
    assert remedy.action == Action.REPAIR_LAKE
    assert (remedy.stream, remedy.topic_id) == (STREAM.name, "id")
    assert remedy.ranges == (OffsetRange(0, 0, 5),)


def test_the_other_checks_fail_and_name_the_file_instead_of_crashing(line: Line) -> None:
    path = only_file(line, f"events/{STREAM.topic}")
    path.unlink()

    found = {(r.asset_key, r.check_name): r for r in lake_results(line, STREAM, tail=100)}

    assert len(found) == 7
    assert {key for key, result in found.items() if result.passed} == set()
    for result in found.values():
        assert path.name in (result.description or "")
        assert "adx repair" in (result.description or "")
    severities = {name: r.severity for (_, name), r in found.items()}
    assert severities["conservation"] == dg.AssetCheckSeverity.ERROR
    assert severities["lost_offsets"] == dg.AssetCheckSeverity.ERROR
    assert severities["late_share"] == dg.AssetCheckSeverity.WARN


def test_a_repair_that_is_not_finished_keeps_the_check_red(line: Line) -> None:
    span = OffsetRange(0, 2, 4)
    entry = RepairEntry(0, Step.ANNOUNCED, STREAM.topic, "raw", "p", "missing", "id", span, 2)
    number = announce_repair(line.storage, [entry])
    assert results(line)[RAW].description == f"repair {number} is not finished: run `adx repair`"
    assert results(line)[EVENTS].passed

    beyond = RepairEntry(number, Step.BEYOND_REPAIR, STREAM.topic, "raw", topic_id="id", span=span)
    note_repair(line.storage, [beyond])
    assert "offsets 0:[2, 4) are beyond repair" in (results(line)[RAW].description or "")

    note_repair(line.storage, [RepairEntry(number, Step.FINISHED, STREAM.topic, "")])
    assert results(line)[RAW].passed
