"""Faults of what is stored: a torn file of the lake, lost reference rows, a rotten reference file.

Belongs here: doing the damage, behind the platform's back. Does not belong here: noticing it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import duckdb
import polars as pl

from adx_platform.contracts.streams import STREAMS
from adx_platform.errors import AdxError
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import events_table
from adx_platform.settings import Settings
from adx_platform.simulate.live_reference import break_rates

_SMALLEST_TORN: Final = 4_096
_KEPT_DAYS_BACK: Final = timedelta(days=2)
_RETRY_SECONDS: Final = 0.2


def tear_file(settings: Settings, stream: str) -> str:
    """Cut the newest file of a stream's refined events in half; returns its path in the table.

    Which files are the table's is asked of its log: a folder also has files that are none any more.

    Raises:
        AdxError: the lake is not on this machine's disk, or has no file that is large enough.
    """
    storage = LakeStorage.from_settings(settings)
    if not storage.is_local:
        raise AdxError("a file can only be torn in a lake on this machine's disk")
    handle = events_table(storage, stream, STREAMS[stream].events_schema).find()
    if handle is None:
        raise AdxError(f"nothing of {stream} was refined yet")
    added: Any = handle.get_add_actions(flatten=True)
    actions = pl.DataFrame(added).filter(pl.col("size_bytes") >= _SMALLEST_TORN)
    if actions.is_empty():
        raise AdxError(f"no file of {stream} has {_SMALLEST_TORN} bytes or more")
    newest = actions.sort("modification_time", "size_bytes")["path"][-1]
    root = Path(storage.table_uri(f"events/{stream}").removeprefix("file://"))
    path = root / unquote(newest)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    return str(newest)


def lose_rates(
    settings: Settings,
    *,
    seconds: float = 120.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> date:
    """Delete the newest days of the exchange rates in the warehouse; returns the first lost day.

    Args:
        settings: of the home.
        seconds: how long to wait for the warehouse: whoever writes has it alone.
        clock: seconds that only go forward.
        sleep: pauses between two attempts.

    Raises:
        AdxError: the warehouse stayed locked, or has no rates.
    """
    deadline = clock() + seconds
    while True:
        try:
            return _delete_rates(settings.duckdb_path)
        except duckdb.IOException as error:
            if clock() >= deadline:
                raise AdxError(f"the warehouse stayed locked for {seconds:g} s: {error}") from error
        sleep(_RETRY_SECONDS)


def rot_rates(settings: Settings) -> None:
    """Replace the file of exchange rates by one that cannot be read, for good."""
    break_rates(settings.reference_dir)


def _delete_rates(path: Path) -> date:
    with duckdb.connect(str(path)) as connection:
        row = connection.execute("select max(rate_date) from reference.fx_rates").fetchone()
        newest = None if row is None else row[0]
        if newest is None:
            raise AdxError(f"{path} has no exchange rates to lose")
        # The feed is some days ahead: what events need now must be among what is lost.
        first = newest - timedelta(days=3) - _KEPT_DAYS_BACK
        connection.execute(
            "delete from reference.fx_rates where rate_date >= $first", {"first": first}
        )
    return date(first.year, first.month, first.day)
