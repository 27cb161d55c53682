"""How much a folder holds, while the program whose folder it is goes on writing.

Belongs here: measuring folders of programs that run. Does not belong here: the lake's files, whose
sizes its own log knows.
"""

from __future__ import annotations

import stat
from pathlib import Path


def bytes_in(folder: Path) -> int:
    """Bytes of the files directly in ``folder``; 0 if there is no such folder.

    A file that goes between the listing and the look counts as gone: a broker that renames its
    ``kafka.tmp`` in that moment once ended the supervisor that only wanted to know its size.
    """
    try:
        entries = list(folder.iterdir())
    except FileNotFoundError:
        return 0
    return sum(_file_bytes(entry) for entry in entries)


def _file_bytes(path: Path) -> int:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
