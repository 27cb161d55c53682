"""The building blocks of a contract: a documented column and helpers over lists of columns.

Belongs here: what every stream module needs to describe its columns. Does not belong here: the
columns of any one stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

DataType: TypeAlias = pl.DataType | type[pl.DataType]

TIMESTAMP = pl.Datetime("us", "UTC")
"""All times: microseconds since the epoch, UTC."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a refined table.

    ``required`` means: never null in an accepted row of the record type that declares it.
    """

    name: str
    dtype: DataType
    description: str
    required: bool = False


def polars_schema(columns: Iterable[Column]) -> pl.Schema:
    """The polars schema of ``columns``, in their order."""
    return pl.Schema({column.name: column.dtype for column in columns})


def required_names(columns: Iterable[Column]) -> tuple[str, ...]:
    """Names of the columns that an accepted row must fill."""
    return tuple(column.name for column in columns if column.required)
