"""The list of erased people, so that no later refining brings one back.

Belongs here: reading and adding to ``erased_users.csv``. Does not belong here: applying it
(``refine.suppression``). It is versioned with the enrichment data: a resident loop notices a new
line within seconds, as it does for a new list of robots.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from adx_platform.errors import AdxError

ERASED_FILE: Final = "erased_users.csv"
_COLUMN: Final = "pseudonym_sha256"
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ErasedListError(AdxError, ValueError):
    """The list cannot be used; the message names the file and the line."""


def load_erased(folder: Path) -> frozenset[str]:
    """Hashes of the erased pseudonyms; none where there is no file.

    Raises:
        ErasedListError: the header or a line is not usable. Nobody is forgotten in silence.
    """
    path = folder / ERASED_FILE
    if not path.exists():
        return frozenset()
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        if next(rows, []) != [_COLUMN]:
            raise ErasedListError(f"{path}: the first line must be {_COLUMN}; restore the file")
        erased = set()
        for row in rows:
            if row and not (len(row) == 1 and _HASH.fullmatch(row[0])):
                raise ErasedListError(
                    f"{path}, line {rows.line_num}: not the SHA-256 of a pseudonym in hex; "
                    "restore the file, or erase that person again"
                )
            erased.update(row)
    return frozenset(erased)


def add_erased(folder: Path, hashes: Iterable[str]) -> bool:
    """Put the hashes on the list; on disk when this returns.

    Returns:
        Whether the list changed.

    Raises:
        ErasedListError: the stored list cannot be used.
    """
    known = load_erased(folder)
    wanted = known | set(hashes)
    if wanted == known:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ERASED_FILE
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join([_COLUMN, *sorted(wanted)]) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return True
