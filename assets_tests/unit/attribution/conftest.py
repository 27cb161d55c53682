"""Paths written by hand: `a > b`, and how often they converted, earned and did not convert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import polars as pl
import pytest

from adx_platform.attribution.paths import Paths, paths_of_table

COLUMNS = {"path": "path", "conversions": "conversions", "value": "value", "nulls": "nulls"}
MakePaths: TypeAlias = Callable[..., Paths]


@pytest.fixture(scope="session")
def paths_of() -> MakePaths:
    """Paths of rows such as ``("a > b", 3, 12.5, 4)``: conversions, value, non-conversions."""

    def make(*rows: tuple[Any, ...]) -> Paths:
        cells = [[str(cell) for cell in (*row, 0, 0, 0)[:4]] for row in rows]
        table = pl.DataFrame(cells, schema=dict.fromkeys(COLUMNS, pl.String), orient="row")
        return paths_of_table(table, COLUMNS)

    return make
