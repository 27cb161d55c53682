"""What a table is, told by the names of its columns.

Belongs here: the names that are understood. Does not belong here: what is done with the columns
(``paths`` and ``journeys``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from adx_platform.attribution.errors import AttributionError


class TableKind(StrEnum):
    """What one row of a table is."""

    PATHS = "paths"
    TOUCHES = "touches"
    CONVERSIONS = "conversions"


KNOWN_NAMES: Mapping[str, tuple[str, ...]] = {
    "path": ("path",),
    "conversions": ("conversions", "conversion", "conv", "total_conversions"),
    "value": ("value", "total_conversion_value", "conversion_value", "total_value", "revenue"),
    "nulls": ("null", "nulls", "total_null", "total_nulls", "null_conversions", "non_conversions"),
    "user_id": ("user_id",),
    "channel": ("channel",),
    "touch_time": ("touch_time", "touched_at", "timestamp", "time"),
    "touch_type": ("touch_type",),
    "conversion_time": ("conversion_time", "converted_at"),
}
"""The names of each column; the first is the one that messages use."""

_NEEDED = {
    TableKind.PATHS: ("path", "conversions"),
    TableKind.TOUCHES: ("user_id", "channel", "touch_time"),
    TableKind.CONVERSIONS: ("user_id", "conversion_time"),
}
_OPTIONAL = {
    TableKind.PATHS: ("value", "nulls"),
    TableKind.TOUCHES: ("touch_type",),
    TableKind.CONVERSIONS: ("value",),
}
# A table is what the column says that only its kind has.
_TELLING = {
    "path": TableKind.PATHS,
    "channel": TableKind.TOUCHES,
    "conversion_time": TableKind.CONVERSIONS,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table is, and its own name of each column that is understood."""

    kind: TableKind
    columns: Mapping[str, str]


def layout_of(header: Sequence[str]) -> Layout:
    """Tell what a table is from its header; case, spaces and dashes in names do not matter.

    Columns that are not understood are left alone.

    Raises:
        AttributionError: it is none of the three kinds, misses a column of its kind, or has two
            columns of one meaning.
    """
    found = _meanings(header)
    kinds = {kind for name, kind in _TELLING.items() if name in found}
    if len(kinds) != 1:
        raise AttributionError(
            f"the columns {', '.join(header) or '(none)'} make no table that is known: a path "
            "table has path, conversions [, value, null]; a touch table has user_id, channel, "
            "touch_time [, touch_type]; a conversion table has user_id, conversion_time [, value]"
        )
    kind = kinds.pop()
    missing = [name for name in _NEEDED[kind] if name not in found]
    if missing:
        named = "; ".join(f"{name} ({' or '.join(KNOWN_NAMES[name])})" for name in missing)
        raise AttributionError(f"this is a table of {kind}, but it has no column {named}")
    wanted = (*_NEEDED[kind], *_OPTIONAL[kind])
    return Layout(kind, {name: found[name] for name in wanted if name in found})


def _meanings(header: Sequence[str]) -> dict[str, str]:
    meaning = {name: meant for meant, names in KNOWN_NAMES.items() for name in names}
    found: dict[str, str] = {}
    for column in header:
        meant = meaning.get(re.sub(r"[\s-]+", "_", column.strip().lower()))
        if meant is None:
            continue
        if meant in found:
            raise AttributionError(
                f"the columns {found[meant]} and {column} both mean {meant}: drop or rename one"
            )
        found[meant] = column
    return found
