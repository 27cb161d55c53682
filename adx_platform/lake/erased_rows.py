"""The marker that stands in the landing in place of an erased message's bytes.

Belongs here: one value that writers and readers of the landing share. Does not belong here: putting
it there (``erasing``).
"""

from __future__ import annotations

from typing import Final

import polars as pl

ERASED_VALUE: Final = b"adx:erased"
"""What the value of an erased message reads; no stream's codec accepts it."""


def is_erased() -> pl.Expr:
    """Whether a landed row's bytes were erased."""
    return (pl.col("value") == pl.lit(ERASED_VALUE)).fill_null(value=False)
