"""Printing for people and for scripts.

Belongs here: the consoles, tables, and the JSON form of a result. Results go to stdout, everything
said on the way (progress, notes, errors) to stderr, so that ``--json`` can be piped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

stdout = Console()
stderr = Console(stderr=True)


class OutputFormat(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def print_json(value: object) -> None:
    """Write ``value`` as one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if _is_whole(value) else str(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _is_whole(value: Decimal) -> bool:
    """Whether it has no decimal places: DuckDB's sum of integers is such a decimal."""
    return value.as_tuple().exponent == 0


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    text: Container[int] = (0,),
) -> Table:
    """A table whose columns at the positions ``text`` may wrap, and whose others are figures.

    Title, heads and cells are shown as they are: a campaign's name may have square brackets.
    """
    built = Table(title=escape(title), title_justify="left", title_style="bold", header_style="dim")
    for position, name in enumerate(columns):
        built.add_column(
            escape(name),
            justify="left" if position in text else "right",
            no_wrap=position not in text,
            # A name that is longer than its column goes on below: half of one is of no use.
            overflow="fold" if position in text else "ellipsis",
        )
    for row in rows:
        built.add_row(*(escape(figure(cell)) for cell in row))
    return built


def figure(value: object) -> str:
    """A cell: thousands are grouped, fractions rounded to two places, nothing is a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, Decimal) and _is_whole(value)):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return str(value)


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[ProgressBar]:
    """A progress bar on stderr for a step of the work; silent where stderr is no terminal."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    ) as progress:
        yield ProgressBar(progress, description, total)


class ProgressBar:
    """One bar; create it with :func:`progress_bar`."""

    def __init__(self, progress: Progress, description: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total)

    def advance_to(self, done: int, total: int | None = None) -> None:
        """Set how much is done (and, where it became known, of how much)."""
        self._progress.update(self._task, completed=done, total=total)

    def advance(self, step: int = 1) -> None:
        """Add to what is done."""
        self._progress.advance(self._task, step)

    def describe(self, description: str) -> None:
        """Change the text beside the bar."""
        self._progress.update(self._task, description=description)
