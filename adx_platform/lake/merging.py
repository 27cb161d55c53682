"""Which small files of a table become one. Pure; it reads and writes nothing.

Belongs here: the choice. Does not belong here: doing it (``rewriting``), or when
(``maintenance``).

A partition's files are kept in a geometric row: a file is written again only together with at
least as many rows again. So each row is rewritten at most as often as the rows of its file can
double before the file is large enough, and what is left of a partition after a merge is at most
that many files, however little came at a time and however late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class LiveFile:
    """One active file of a table, as its log has it.

    Attributes:
        path: under the table's folder.
        size: bytes.
        rows: how many it holds.
        partition: the table's partition columns and their values, as the log writes them.
        begins: where it belongs in the table's order of arrival: lowest partition and offset.
    """

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | None]
    begins: tuple[int, int] = (0, 0)


Merge = tuple[LiveFile, ...]
"""Files of one partition of the table that become one file, in order of arrival."""


def plan_merges(files: Iterable[LiveFile], *, below: int, into: int) -> list[Merge]:
    """The merges that are worthwhile now; an empty list if there are none.

    Args:
        files: active files of a table.
        below: bytes; files of this size and larger are done.
        into: bytes; the files of one merge are together not larger.

    Raises:
        ValueError: ``into`` is not at least twice ``below``, so that two small files always fit.
    """
    if into < 2 * below:
        raise ValueError(f"merged files ({into} bytes) must be at least twice {below} bytes")
    partitions: dict[tuple[tuple[str, str | None], ...], list[LiveFile]] = {}
    for file in files:
        if file.size < below:
            partitions.setdefault(tuple(file.partition.items()), []).append(file)
    return [
        merge for found in partitions.values() for merge in _filled(_worth_it(found), into=into)
    ]


def _worth_it(files: Sequence[LiveFile]) -> list[LiveFile]:
    """The smallest files, as far as each is at most as large as all smaller ones together."""
    ascending = sorted(files, key=lambda file: (file.rows, file.path))
    smaller = accumulate((file.rows for file in ascending), initial=0)
    worth = [
        count
        for count, (file, rows) in enumerate(zip(ascending, smaller, strict=False), start=1)
        if file.rows <= rows
    ]
    return ascending[: worth[-1]] if worth else []


def _filled(files: Sequence[LiveFile], *, into: int) -> list[Merge]:
    """Neighbours by arrival together, each merge as full as it may be."""
    merges: list[list[LiveFile]] = [[]]
    size = 0
    for file in sorted(files, key=lambda file: (file.begins, file.path)):
        if size + file.size > into:
            merges.append([])
            size = 0
        merges[-1].append(file)
        size += file.size
    return [tuple(merge) for merge in merges if len(merge) > 1]
