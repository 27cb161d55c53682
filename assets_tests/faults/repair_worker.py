"""One worker process for the fault tests: repairs ad_impressions; settings are ``ADX_...``."""

from __future__ import annotations

from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.repair import repair_stream
from adx_platform.settings import load_settings

if __name__ == "__main__":
    repair_stream(open_platform(load_settings()), "ad_impressions")
