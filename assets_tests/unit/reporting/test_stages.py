from __future__ import annotations

import json
from typing import Any

import pytest
from deltalake import DeltaTable

from adx_platform.lake.storage import LakeStorage
from adx_platform.reporting.stages import Conservation, StreamStages, gather_stages
from adx_platform.warehouse.published import NothingPublishedError

MIXED = {
    "stream": "ad_impressions",
    "accepted": 2, "rejected": 1, "duplicate": 1, "conflict": 1, "absent": 3,
}  # fmt: skip
TOMBSTONE = {"stream": "ad_impressions", "partition_id": 1, "rejected": 1}


def gather(line: Any) -> tuple[dict[str, StreamStages], Conservation]:
    settings = line.settings
    stages, conservation = gather_stages(
        LakeStorage.from_settings(settings), settings.published_dir, settings.simulation_dir
    )
    return {stage.stream: stage for stage in stages}, conservation


def test_every_message_is_in_its_stage(mixed_line: Any) -> None:
    mixed_line.publish([MIXED, TOMBSTONE])
    stages, conservation = gather(mixed_line)
    found = stages["ad_impressions"]
    assert (found.landed, found.refined, found.loaded) == (6, 6, 6)
    assert (found.accepted, found.rejected, found.duplicates, found.conflicts) == (2, 2, 1, 1)
    assert (found.absent, found.lost, found.late) == (3, 0, 1)
    assert found.reasons == {"invalid_encoding": 1, "tombstone": 1}
    assert found.sent is None
    assert conservation.holds
    # Two partitions in each of: landing, refined rows, marts.
    assert conservation.equations == 6


def test_a_stream_without_events_is_in_the_list(mixed_line: Any) -> None:
    mixed_line.publish([MIXED, TOMBSTONE])
    stages, _ = gather(mixed_line)
    assert list(stages) == ["bid_requests", "ad_impressions", "clicks_conversions"]
    empty = stages["bid_requests"]
    assert (empty.landed, empty.loaded, empty.reasons) == (0, 0, {})


def test_what_was_not_loaded_yet_shows_as_a_difference_of_stages(mixed_line: Any) -> None:
    mixed_line.publish([TOMBSTONE])
    stages, conservation = gather(mixed_line)
    assert (stages["ad_impressions"].refined, stages["ad_impressions"].loaded) == (6, 1)
    assert conservation.holds, "the marts are behind, and nothing is missing in them"


def test_lost_offsets_are_counted_apart(small_line: Any) -> None:
    small_line.land_gap("ad_impressions", 0, 5, kind="lost")
    small_line.ingest("ad_impressions", 0, [b"{}"])
    small_line.publish()
    stages, conservation = gather(small_line)
    assert (stages["ad_impressions"].lost, stages["ad_impressions"].absent) == (5, 0)
    assert conservation.holds


def test_what_the_simulator_sent_is_shown_beside(mixed_line: Any) -> None:
    mixed_line.publish([MIXED])
    truth = mixed_line.settings.simulation_dir / "truth"
    truth.mkdir(parents=True)
    (truth / "summary.json").write_text(json.dumps({"messages": {"ad_impressions": 6}}))
    stages, _ = gather(mixed_line)
    assert stages["ad_impressions"].sent == 6
    assert stages["bid_requests"].sent is None


@pytest.mark.parametrize("layer", ["raw", "events"])
def test_a_row_that_vanished_is_named_by_layer_partition_and_offset(
    mixed_line: Any, layer: str
) -> None:
    mixed_line.publish([MIXED, TOMBSTONE])
    table = DeltaTable(f"{mixed_line.settings.lake_uri}/{layer}/ad_impressions")
    # "offset" is a word of SQL.
    table.delete('partition = 0 and "offset" = 5')
    _, conservation = gather(mixed_line)
    assert not conservation.holds
    (line,) = conservation.broken
    assert line.startswith(f"{layer}/ad_impressions partition 0 of topic-a: 8 - 0 = 8 offsets")
    assert "1 missing, the first at offset 5" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"committed_offsets": 10}, "10 offsets committed, 2 not accounted for, 0 repeated"),
        ({"committed_offsets": 7}, "7 offsets committed, -1 not accounted for, 0 repeated"),
        ({"repeated_offsets": 4}, "8 offsets committed, 0 not accounted for, 4 repeated"),
    ],
)
def test_marts_that_do_not_add_up_are_named(
    mixed_line: Any, change: dict[str, int], said: str
) -> None:
    mixed_line.publish([{**MIXED, **change}, TOMBSTONE])
    _, conservation = gather(mixed_line)
    assert conservation.broken == (f"marts/ad_impressions partition 0 of topic-a: {said}",)
    assert not conservation.holds


def test_nothing_counted_is_no_proof(small_line: Any) -> None:
    small_line.publish()
    _, conservation = gather(small_line)
    assert conservation == Conservation(0, ())
    assert not conservation.holds


def test_before_the_first_build(mixed_line: Any) -> None:
    with pytest.raises(NothingPublishedError):
        gather(mixed_line)
