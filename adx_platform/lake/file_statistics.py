"""What a table's log says of a data file, so that readers can pass over it: rows, bounds, nulls.

Belongs here: gathering it from frames. Does not belong here: writing the file, or which columns
have statistics (``tables``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import polars as pl

_MILLISECOND: Final = timedelta(milliseconds=1)


class FileStatistics:
    """The statistics of one file, gathered part by part."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Of no rows yet; ``columns`` are those with bounds."""
        self.rows = 0
        self._low: dict[str, Any] = {}
        self._high: dict[str, Any] = {}
        self._nulls = dict.fromkeys(columns, 0)

    def add(self, part: pl.DataFrame) -> None:
        """Take in some rows of the file."""
        self.rows += part.height
        for name in self._nulls:
            column = part[name]
            self._nulls[name] += column.null_count()
            low: Any = column.min()
            high: Any = column.max()
            if low is not None:
                self._low[name] = min(self._low.get(name, low), low)
                self._high[name] = max(self._high.get(name, high), high)

    def document(self) -> str:
        """As JSON, for the log."""
        return json.dumps(
            {
                "numRecords": self.rows,
                "minValues": {name: _plain(value) for name, value in self._low.items()},
                "maxValues": {name: _plain(value, up=True) for name, value in self._high.items()},
                "nullCount": self._nulls,
            }
        )


def _plain(value: Any, *, up: bool = False) -> Any:  # noqa: ANN401 - a value of any column type
    """The value as JSON has it; the log keeps milliseconds, so a bound is widened to one."""
    if not isinstance(value, datetime):
        return value
    rest = timedelta(microseconds=value.microsecond % 1000)
    bound = value - rest + (_MILLISECOND if up and rest else timedelta())
    return bound.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
