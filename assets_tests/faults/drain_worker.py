"""A worker that drains every lane, and says on its standard output what it does, line by line.

``ready`` once it can begin, ``batch <messages>`` after each commit, ``done`` at the end. Every few
commits it merges small files, as a resident loop does, so that faults hit that as well. Settings
come from ``ADX_...`` variables; an argument is the number of bytes beyond which no file may grow.
"""

from __future__ import annotations

import resource
import signal
import sys
from itertools import count

from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.reports import BatchReport
from adx_platform.pipeline.upkeep import merge_lake
from adx_platform.settings import load_settings
from assets_tests.faults.sequence import STREAM

MERGE_EVERY = 7


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def drain(platform: Platform, lane: int) -> None:
    committed = count(1)

    def on_batch(report: BatchReport) -> None:
        say(f"batch {sum(report.counts.values())}")
        if next(committed) % MERGE_EVERY == 0:
            for _ in merge_lake(platform.storage, platform.settings.lake):
                pass

    ingest_lane(platform, STREAM, lane, on_batch=on_batch)


def main(arguments: list[str]) -> None:
    if arguments:
        largest = int(arguments[0])
        # Without its signal the write itself fails, as it does on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    platform = open_platform(load_settings())
    say("ready")
    for lane in range(platform.settings.kafka.lanes_per_topic):
        drain(platform, lane)
    say("done")


if __name__ == "__main__":
    main(sys.argv[1:])
