"""Frames made fit for a warehouse table: its columns, its types, naive UTC.

Belongs here: the last conversion before an insert. Does not belong here: choosing rows
(``projection``).
"""

from __future__ import annotations

import polars as pl

from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.tables import Table


def conform(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """``frame`` with exactly the columns of ``table``, times as naive UTC microseconds.

    Raises:
        WarehouseError: a column is missing or has another type; the message names them. Values are
            never cast: a cast could change them silently.
    """
    wanted = table.frame_schema
    missing = [name for name in wanted if name not in frame.columns]
    unexpected = [name for name in frame.columns if name not in wanted]
    wrong = [
        f"{name} is {frame.schema[name]}, not {dtype}"
        for name, dtype in wanted.items()
        if name in frame.columns and frame.schema[name] != dtype
    ]
    if missing or unexpected or wrong:
        problems = [
            *(f"{name} is missing" for name in missing),
            *(f"{name} is not a column of the table" for name in unexpected),
            *wrong,
        ]
        raise WarehouseError(f"rows do not fit {table.qualified_name}: {'; '.join(problems)}")
    return frame.select(
        pl.col(name).dt.replace_time_zone(None) if isinstance(dtype, pl.Datetime) else pl.col(name)
        for name, dtype in wanted.items()
    )
