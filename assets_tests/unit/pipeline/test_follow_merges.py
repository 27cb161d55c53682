"""The loop's own merges happen while the block runs, and a failing store does not end them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.errors import LakeUnavailable
from adx_platform.lake.maintenance import UpkeepReport
from adx_platform.pipeline import follow_merges
from adx_platform.pipeline.follow_merges import small_files_merged
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform


def test_what_the_loop_commits_is_merged_even_after_a_failure(
    platform: Platform, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.values = {1: [b"x"] * 60}
    assert len(ingest_lane(platform, AD_IMPRESSIONS.name, 1)) == 10
    real, merged, failures = follow_merges.merge_lake, threading.Event(), [None]

    def watched(*args: Any) -> Iterator[UpkeepReport]:
        if failures:
            failures.pop()
            raise LakeUnavailable("the store is away")
        for report in real(*args):
            yield report
            if report.table.startswith("events/ad_impressions") and report.merged:
                merged.set()

    monkeypatch.setattr(follow_merges, "merge_lake", watched)
    lake = platform.settings.lake.model_copy(update={"compact_from": 2})
    with small_files_merged(
        platform.storage,
        lake,
        every=timedelta(milliseconds=10),
        patience=timedelta(seconds=20),
    ):
        assert merged.wait(20)
    assert "adx-merges" not in {thread.name for thread in threading.enumerate()}
    handle = platform.refining(AD_IMPRESSIONS).handle
    assert len(handle.file_uris()) < 10
