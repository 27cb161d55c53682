"""CSV files of clicks and conversions to messages in the contract's column order.

Belongs here: the header row and what it says of version and order. Does not belong here: the cells'
meaning; they are sent as they are.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from adx_platform.codecs.encoding import columns_of_version, csv_line
from adx_platform.codecs.framed_messages import (
    FileProblem,
    FramedMessage,
    UnreadableFileError,
    key_of,
)
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION, VERSION_HEADER

_NEEDED_CSV_COLUMNS = ("event_type", "event_id", "ts")


class _Rows(Protocol):
    """What ``csv.reader`` gives; its type has no public name."""

    @property
    def line_num(self) -> int: ...

    def __next__(self) -> list[str]: ...


def csv_messages(path: Path, report: Callable[[FileProblem], None]) -> Iterator[FramedMessage]:
    """Frame the rows of a CSV file with a header row.

    Args:
        path: the file, UTF-8; its columns may be in any order.
        report: told of each row that cannot be sent.

    Raises:
        UnreadableFileError: the file is not UTF-8, or its header does not fit the contract.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            yield from _rows(path, reader, report)
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path} is not UTF-8 text: {error.reason}") from error


def _rows(
    path: Path,
    reader: _Rows,
    report: Callable[[FileProblem], None],
) -> Iterator[FramedMessage]:
    try:
        header = next(reader)
    except StopIteration:
        raise UnreadableFileError(f"{path} is empty: a header row is needed") from None
    except csv.Error as error:
        raise UnreadableFileError(f"{path}: the header is not a CSV row: {error}") from error
    version, columns = _version_of_header(path, header)
    positions = [header.index(column) if column in header else None for column in columns]
    user = header.index("user_id") if "user_id" in header else None
    headers = [(VERSION_HEADER, str(version).encode())]
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report(FileProblem(reader.line_num, f"not a CSV row: {error}"))
            continue
        if not row:
            continue
        if len(row) != len(header):
            reason = f"the row has {len(row)} cells, the header has {len(header)}"
            report(FileProblem(reader.line_num, reason))
            continue
        cells = ["" if position is None else row[position] for position in positions]
        yield FramedMessage(
            key_of(row[user] if user is not None else None), csv_line(cells), headers, None
        )


def _version_of_header(path: Path, header: list[str]) -> tuple[int, tuple[str, ...]]:
    """The lowest contract version that has all the header's columns, and that version's columns."""
    newest = columns_of_version(max(CSV_COLUMNS_BY_VERSION))
    unknown = [column for column in header if column not in newest]
    if unknown:
        raise UnreadableFileError(
            f"{path}: not columns of clicks_conversions: {', '.join(map(repr, unknown))}; "
            f"known are {', '.join(newest)}"
        )
    if len(set(header)) != len(header):
        raise UnreadableFileError(f"{path}: a column is there twice in the header")
    missing = [column for column in _NEEDED_CSV_COLUMNS if column not in header]
    if missing:
        raise UnreadableFileError(f"{path}: the header lacks {', '.join(missing)}")
    return next(
        (version, columns)
        for version, columns in sorted(CSV_COLUMNS_BY_VERSION.items())
        if set(header) <= set(columns)
    )
