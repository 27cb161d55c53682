"""Merging the small files that the resident loop makes, while it makes them.

Belongs here: the thread that does it and what a failure means. Does not belong here: the merging
(``lake.maintenance``), or the rest of the upkeep, which is scheduled (``upkeep``).

A loop commits every second, and planning costs more with every file that a table has: ten minutes,
until the schedule comes, are thousands. A merge never stands in the way of a batch: the append is
the one that stays, and no row and no cursor changes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.follow_lane import FollowedLane
from adx_platform.pipeline.upkeep import merge_lake
from adx_platform.settings import LakeSettings

logger = logging.getLogger(__name__)


@contextmanager
def small_files_merged(
    storage: LakeStorage, settings: LakeSettings, *, every: timedelta, patience: timedelta
) -> Iterator[None]:
    """Merge in a thread of its own for as long as the block runs.

    Args:
        storage: the lake.
        settings: which files are small.
        every: between two looks.
        patience: for a merge that is at work when the block ends; it may be interrupted at any
            time, and what it has written then is swept as an orphan.
    """
    ending = threading.Event()
    thread = threading.Thread(
        target=_merge_until,
        args=(ending, storage, settings, every.total_seconds()),
        name="adx-merges",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(patience.total_seconds())


def _merge_until(
    ending: threading.Event, storage: LakeStorage, settings: LakeSettings, seconds: float
) -> None:
    while not ending.wait(seconds):
        try:
            for report in merge_lake(storage, settings):
                if report.merged or report.skipped:
                    logger.info("%s", report.explain())
                if ending.is_set():
                    return
        except FollowedLane.CAUGHT as error:
            # The loop itself meets the same store and tells of it; the schedule does as well.
            logger.warning("small files were not merged and are tried again: %s", error)
