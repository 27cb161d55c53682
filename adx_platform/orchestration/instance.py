"""The Dagster instance: its folder, its configuration file and its pools.

Belongs here: making DAGSTER_HOME ready. Does not belong here: what runs on it.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import dagster as dg

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration.kept_connections import keep_connections
from adx_platform.orchestration.keys import WAREHOUSE_POOL, ingest_pool
from adx_platform.settings import Settings

CONFIG_NAME = "dagster.yaml"


def install_config(home: Path) -> Path:
    """Put the configuration template into ``home`` unless a file is there already.

    Returns:
        Path of the configuration file.
    """
    home.mkdir(parents=True, exist_ok=True)
    target = home / CONFIG_NAME
    if not target.exists():
        template = files("adx_platform.orchestration") / "templates" / CONFIG_NAME
        # Written beside and renamed: two processes may start at the same moment.
        partial = home / f".{CONFIG_NAME}.{os.getpid()}"
        partial.write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
        partial.replace(target)
    return target


def ensure_instance(settings: Settings) -> dg.DagsterInstance:
    """Open the persistent instance in ``settings.dagster_home``, creating what is missing.

    Returns:
        The instance; use it as a context manager so that its connections are closed.
    """
    home = settings.dagster_home
    keep_connections()
    install_config(home)
    instance = dg.DagsterInstance.from_config(str(home))
    limits = {WAREHOUSE_POOL: 1} | {
        ingest_pool(name): settings.kafka.lanes_per_topic for name in STREAMS
    }
    storage = instance.event_log_storage
    current = {pool.name: pool.limit for pool in storage.get_pool_limits()}
    for pool, limit in limits.items():
        if current.get(pool) != limit:
            storage.set_concurrency_slots(pool, limit)
    return instance
