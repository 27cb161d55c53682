"""Apply a function once per distinct value of a column.

Belongs here: the one helper that keeps per-value Python off the row count. Does not belong here:
any rule.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl


def map_unique(
    values: pl.Series, rule: Callable[[pl.Series], pl.DataFrame], schema: pl.Schema
) -> pl.DataFrame:
    """Look every value up in what ``rule`` says about the distinct values.

    Args:
        values: String series.
        rule: from the distinct non-null values (in any order) to a frame of ``schema``, one row
            each, in the same order. It must judge each value on its own.
        schema: of the result.

    Returns:
        One row per row of ``values``; all null where the value is null.
    """
    distinct = values.drop_nulls().unique()
    if distinct.is_empty():
        return pl.DataFrame({name: pl.Series([], dtype=schema[name]) for name in schema}).clear(
            len(values)
        )
    answers = rule(distinct).cast(schema)
    answers = answers.with_columns(distinct.alias("value"))
    return (
        pl.DataFrame({"value": values})
        .join(answers, on="value", how="left", maintain_order="left")
        .select(schema.names())
    )
