"""What can be learnt about who was there, while the full address and user agent are still known.

Belongs here: device, system and browser, and the rules of general invalid traffic. Does not belong
here: reducing personal data, which comes after (``privacy``).
"""

from __future__ import annotations

import polars as pl

from adx_platform.refine.context import EnrichmentReference
from adx_platform.refine.networks import networks
from adx_platform.refine.user_agents import agents

_SYSTEMS = {
    "android": "Android",
    "ios": "iOS",
    "iphone os": "iOS",
    "ipados": "iOS",
    "windows": "Windows",
    "mac os x": "Mac OS X",
    "macos": "Mac OS X",
    "osx": "Mac OS X",
    "os x": "Mac OS X",
    "linux": "Linux",
    "chrome os": "Chrome OS",
    "tizen": "Tizen",
    "webos": "webOS",
    "roku": "Roku",
    "tvos": "tvOS",
}


def enrich(frame: pl.DataFrame, reference: EnrichmentReference) -> pl.DataFrame:
    """Add what the user agent and the address tell.

    Args:
        frame: with ``ip``, ``user_agent``, ``device_type``, ``os`` (all String, as standardised).
        reference: crawler patterns and data-centre ranges.

    Returns:
        The frame with ``device_type`` and ``os`` completed, and ``browser``, ``ip_prefix``,
        ``is_givt``, ``givt_reason`` added. The first of these that holds is the reason:
        ``user_agent`` (a known or self-declared robot), ``data_centre`` (the address), and
        ``non_browser`` (no user agent, or one of a library or tool).
    """
    about = agents(frame["user_agent"], reference.crawler_patterns, reference.agent_lists)
    network = networks(frame["ip"], reference.data_centre_v4, reference.data_centre_v6)
    wide = pl.concat([frame, about, network], how="horizontal")
    lowered = pl.col("os").str.to_lowercase()
    named = lowered.replace_strict(_SYSTEMS, default=pl.col("os"), return_dtype=pl.String)
    reason = (
        pl.when(pl.col("is_crawler"))
        .then(pl.lit("user_agent"))
        .when(pl.col("in_data_centre"))
        .then(pl.lit("data_centre"))
        .when(pl.col("is_tool").fill_null(value=True))
        .then(pl.lit("non_browser"))
    )
    return wide.with_columns(
        device_type=pl.coalesce("device_type", "agent_device_type"),
        os=pl.coalesce(named, "agent_os"),
        browser=pl.col("agent_browser"),
        givt_reason=reason,
        is_givt=reason.is_not_null(),
    ).drop(*about.columns, "in_data_centre")
