"""One worker process for the fault tests: settings come from ``ADX_...`` variables.

``ingest_worker.py ingest`` drains all lanes of ad_impressions;
``ingest_worker.py reprocess PARTITION START END`` refines a range again.
"""

from __future__ import annotations

import sys

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.reprocess import reprocess_range
from adx_platform.settings import load_settings

STREAM = "ad_impressions"


def main(arguments: list[str]) -> None:
    platform = open_platform(load_settings())
    if arguments[0] == "ingest":
        for lane in range(platform.settings.kafka.lanes_per_topic):
            ingest_lane(platform, STREAM, lane)
    else:
        partition, start, end = map(int, arguments[1:])
        reprocess_range(platform, STREAM, [OffsetRange(partition, start, end)], reason="fault test")


if __name__ == "__main__":
    main(sys.argv[1:])
