"""Ours: some lanes of a stream, drained one after the other, each commit on disk.

Arguments: the job's file, `land` or `ingest`, and the lanes.
"""

from __future__ import annotations

import sys

from adx_platform.contracts.streams import stream_named
from adx_platform.pipeline.platform import open_platform
from adx_platform.settings import KafkaSettings, LakeSettings, load_settings
from assets_tests.bench.lanes import ingest_whole_lane, land_lane
from assets_tests.bench.peers.job import Job


def run(job: Job, step: str, lanes: list[int]) -> None:
    """Drain the lanes with the platform's defaults, into a lake in the job's folder."""
    kafka = KafkaSettings(bootstrap_servers=job.servers, partitions_per_topic=len(job.ends))
    lake = LakeSettings(uri=str(job.out))
    platform = open_platform(load_settings(home=job.home, kafka=kafka, lake=lake))
    for lane in lanes:
        if step == "land":
            land_lane(platform, stream_named(job.stream), lane)
        else:
            ingest_whole_lane(platform, job.stream, lane)


if __name__ == "__main__":
    run(Job.of_command_line(), sys.argv[2], [int(lane) for lane in sys.argv[3:]])
