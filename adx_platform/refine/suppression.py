"""Erased people: what is taken from refined rows that are theirs.

Belongs here: which rows are somebody's, and which of their columns are emptied. Does not belong
here: the list of the erased (``reference.erased``), or finding and replacing stored rows
(``pipeline.erasure``).

The list holds hashes of pseudonyms, so that the list itself does not keep the person it removes.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Final

import polars as pl

from adx_platform.refine.unique import map_unique

IDENTITY: Final = ("user_id", "user_id_previous")
_EMPTIED: Final = (*IDENTITY, "user_id_key_id", "ip_prefix", "user_agent", "extension_json", "user")
_EMPTIED_OF_DEVICE: Final = ("ua", "sua", "ip", "ipv6", "ifa", "geo")
_PSEUDONYM: Final = r"[0-9a-f]{64}"
_FOUND = pl.Schema({"found": pl.Boolean})


def hash_of(pseudonym: str) -> str:
    """What the list of the erased says of a pseudonym: SHA-256, hex."""
    return sha256(pseudonym.encode()).hexdigest()


def holds(schema: pl.Schema, pseudonyms: Collection[str]) -> pl.Expr:
    """Whether a stored row of ``schema`` has one of the pseudonyms, wherever in it."""
    wanted = sorted(pseudonyms)
    found = [pl.col(name).is_in(wanted) for name in IDENTITY if name in schema]
    if "device" in schema:
        found.append(pl.col("device").struct.field("ifa").is_in(wanted))
    if "user" in schema:
        found.append(pl.col("user").struct.json_encode().str.contains_any(wanted))
    if "extension_json" in schema:
        found.append(pl.col("extension_json").str.contains_any(wanted))
    return pl.any_horizontal(part.fill_null(value=False) for part in found)


def rows_of(rows: pl.DataFrame, erased: Collection[str]) -> pl.Series:
    """Which refined rows are an erased person's.

    Args:
        rows: of any stream; the columns that can hold a pseudonym are looked at where they exist.
        erased: hashes of pseudonyms.

    Returns:
        Boolean series: a pseudonym of the row, wherever in it, is on the list.
    """
    found = pl.Series([False], dtype=pl.Boolean).new_from_index(0, rows.height)
    if not erased:
        return found
    known = frozenset(erased)

    def rule(distinct: pl.Series) -> pl.DataFrame:
        return pl.DataFrame({"found": [hash_of(value) in known for value in distinct.to_list()]})

    for name in IDENTITY:
        if name in rows.columns:
            told = map_unique(rows[name], rule, _FOUND)["found"]
            found |= told.fill_null(value=False)
    for text in _texts(rows):
        found |= _within(text, known)
    return found


def without_the_erased(rows: pl.DataFrame, erased: Collection[str]) -> pl.DataFrame:
    """The rows, with nothing in those of erased people that leads to them.

    What was counted and paid stays: ids of events, campaigns, amounts, times, country.
    """
    theirs = rows_of(rows, erased)
    if not theirs.any():
        return rows
    mine = pl.lit(theirs)
    emptied = [
        pl.when(~mine).then(pl.col(name)).alias(name) for name in _EMPTIED if name in rows.columns
    ]
    if "device" in rows.columns:
        emptied.append(_device(rows, mine))
    return rows.with_columns(emptied)


def _device(rows: pl.DataFrame, mine: pl.Expr) -> pl.Expr:
    device = pl.col("device").struct
    emptied = device.with_fields(
        pl.lit(None, dtype=field.dtype).alias(field.name)
        for field in _fields(rows.schema["device"])
        if field.name in _EMPTIED_OF_DEVICE
    )
    present = pl.col("device").is_not_null()
    return pl.when(mine & present).then(emptied).otherwise(pl.col("device")).alias("device")


def _fields(dtype: pl.DataType) -> list[pl.Field]:
    return list(dtype.fields) if isinstance(dtype, pl.Struct) else []


def _texts(rows: pl.DataFrame) -> list[pl.Series]:
    """Columns that may hold a pseudonym among other things, as text."""
    texts = []
    if "device" in rows.columns:
        texts.append(rows["device"].struct.field("ifa"))
    if "user" in rows.columns:
        texts.append(rows["user"].struct.json_encode())
    if "extension_json" in rows.columns:
        texts.append(rows["extension_json"])
    return texts


def _within(text: pl.Series, known: frozenset[str]) -> pl.Series:
    named = text.str.extract_all(_PSEUDONYM)
    distinct = named.drop_nulls().explode().drop_nulls().unique()
    theirs = [value for value in distinct.to_list() if hash_of(value) in known]
    if not theirs:
        return pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(text))
    return text.str.contains_any(theirs).fill_null(value=False)
