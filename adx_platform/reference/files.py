"""The reference folder, read and judged as a whole.

Belongs here: reading the CSV files, collecting every problem with its file, line and column, and
the version of what was read. Does not belong here: the rules themselves (``rules``), the shapes
(``schemas``) or loading into a warehouse.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import polars as pl
import xxhash

from adx_platform.contracts.columns import Column, polars_schema
from adx_platform.errors import AdxError
from adx_platform.reference.cells import CellError, parse_cell
from adx_platform.reference.rules import (
    Problem,
    Row,
    key_problems,
    link_problems,
    rate_problems,
    row_problems,
)
from adx_platform.reference.schemas import REFERENCE_FILES, TIME_ZONE_OFFSETS, ReferenceTable
from adx_platform.reference.time_zones import time_zone_offsets

_SHOWN_PROBLEMS = 20


class ReferenceDataError(AdxError):
    """The reference folder cannot be used; ``problems`` says where and why."""

    def __init__(self, folder: Path, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = [f"  {problem}" for problem in self.problems[:_SHOWN_PROBLEMS]]
        rest = len(self.problems) - len(shown)
        if rest:
            shown.append(f"  and {rest} more")
        super().__init__("\n".join([f"the reference data in {folder} is not usable:", *shown]))


@dataclass(frozen=True, slots=True)
class ReferenceData:
    """All reference tables with the versions (content hashes) of each and of the whole."""

    tables: dict[str, pl.DataFrame]
    versions: dict[str, str]
    version: str


def load_reference(folder: Path) -> ReferenceData:
    """Read the folder and add the tables that are derived from it.

    Raises:
        ReferenceDataError: anything is wrong with the files; all problems are named.
    """
    tables = load_reference_files(folder)
    zones = tables["advertisers"]["time_zone"].to_list()
    tables[TIME_ZONE_OFFSETS.name] = time_zone_offsets(zones)
    versions = {name: table_version(frame) for name, frame in tables.items()}
    return ReferenceData(tables, versions, reference_version(versions))


def load_reference_files(folder: Path) -> dict[str, pl.DataFrame]:
    """Read and judge every CSV file of the folder.

    Returns:
        A frame per file in the schema of ``schemas``, sorted by its key.

    Raises:
        ReferenceDataError: anything is wrong with the files; all problems are named.
    """
    problems: list[Problem] = []
    rows = {table.name: _read(folder, table, problems) for table in REFERENCE_FILES}
    if not problems:
        problems = list(_judge(rows))
    if problems:
        raise ReferenceDataError(folder, problems)
    return {
        table.name: pl.DataFrame(
            [tuple(row.values.values()) for row in rows[table.name]],
            schema=polars_schema(table.columns),
            orient="row",
        ).sort(table.key)
        for table in REFERENCE_FILES
    }


def files_digest(folder: Path) -> str | None:
    """Changes with the name or content of any CSV file or list in ``folder``; None without any."""
    digest = xxhash.xxh3_128()
    paths = sorted([*folder.glob("*.csv"), *folder.glob("iab_*.txt")])
    for path in paths:
        digest.update(f"{path.name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest() if paths else None


def table_version(frame: pl.DataFrame) -> str:
    """Content hash of one table: equal rows in equal order have equal versions."""
    return xxhash.xxh3_128_hexdigest(frame.write_csv().encode())


def reference_version(versions: Mapping[str, str]) -> str:
    """One hash over the versions of all tables."""
    text = "\n".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return xxhash.xxh3_128_hexdigest(text.encode())


def _judge(rows: Mapping[str, list[Row]]) -> Iterator[Problem]:
    for table in REFERENCE_FILES:
        yield from chain.from_iterable(row_problems(table, row) for row in rows[table.name])
        yield from key_problems(table, rows[table.name])
        yield from link_problems(table, rows)
    # A folder without rates has one problem per pair and day: the first ones say it all.
    yield from islice(rate_problems(rows), _SHOWN_PROBLEMS * 2)


def _read(folder: Path, table: ReferenceTable, problems: list[Problem]) -> list[Row]:
    path = folder / table.file_name
    if not path.is_file():
        if table.mandatory:
            problems.append(Problem(table.file_name, 0, None, "the file is missing"))
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return _parse(table, lines, problems)
    except UnicodeDecodeError as error:
        problems.append(Problem(table.file_name, 0, None, f"is not UTF-8: {error.reason}"))
    return []


def _parse(table: ReferenceTable, lines: Iterable[str], problems: list[Problem]) -> list[Row]:
    reader = csv.reader(lines, strict=True)
    rows: list[Row] = []
    try:
        header = next(reader, [])
        header_problems = list(_header_problems(table, header))
        problems.extend(header_problems)
        if header_problems:
            return []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                message = f"has {len(cells)} values, the header has {len(header)}"
                problems.append(Problem(table.file_name, reader.line_num, None, message))
                continue
            texts = dict(zip(header, cells, strict=True))
            rows.append(_row(table, reader.line_num, texts, problems))
    except csv.Error as error:
        message = f"is not RFC 4180 CSV: {error}"
        problems.append(Problem(table.file_name, reader.line_num, None, message))
    return rows


def _header_problems(table: ReferenceTable, header: list[str]) -> Iterator[Problem]:
    for name in sorted({name for name in header if header.count(name) > 1}):
        yield Problem(table.file_name, 1, name, "is in the header twice")
    for column in table.columns:
        if column.required and column.name not in header:
            yield Problem(table.file_name, 1, column.name, "is missing from the header")


def _row(
    table: ReferenceTable, line: int, texts: Mapping[str, str], problems: list[Problem]
) -> Row:
    values: dict[str, object] = {}
    for column in table.columns:
        try:
            values[column.name] = _value(column, texts.get(column.name, ""))
        except CellError as error:
            values[column.name] = None
            problems.append(Problem(table.file_name, line, column.name, str(error)))
    return Row(line, values)


def _value(column: Column, text: str) -> object:
    if text:
        try:
            return parse_cell(text, column.dtype)
        except CellError as error:
            raise CellError(f"{text!r} {error}") from error
    if column.required:
        raise CellError("must not be empty")
    return None
