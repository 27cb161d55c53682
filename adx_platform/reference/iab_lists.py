"""The licensed IAB/ABC International Spiders and Bots List, as its two text files are delivered.

Belongs here: reading and judging the files. Does not belong here: applying the lists
(``refine.agent_lists``). The files are sold under a licence, so that none is delivered with us.

Both have one entry a line, its fields separated by ``|``; a line that begins with ``#`` is a
comment, and blank lines mean nothing. Of browsers: pattern, active flag, start-of-string flag. Of
robots: pattern, active flag, exceptions (separated by a comma and a space), a flag for those who
use this list alone, impact, start-of-string flag. A last field, the date of leaving the list, may
follow in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from adx_platform.errors import AdxError
from adx_platform.refine.agent_lists import AgentLists, ListedAgent

BROWSERS_FILE = "iab_browsers.txt"
ROBOTS_FILE = "iab_robots.txt"

_DATE = re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}", re.ASCII)
_BROWSER_FIELDS = 3
_ROBOT_FIELDS = 6
_FLAG = frozenset({"0", "1"})
_IMPACT = frozenset({"0", "1", "2"})


class AgentListError(AdxError, ValueError):
    """A list cannot be used; the message names the file and the line."""


def load_agent_lists(folder: Path) -> AgentLists:
    """Read ``iab_browsers.txt`` and ``iab_robots.txt``, as far as they are there.

    Entries that are not active are left out. All active robots are kept, those that are of use for
    one pass only, too: in two passes they find nothing more.

    Raises:
        AgentListError: a line is not usable, or a file has no active entry.
    """
    return AgentLists(_read(folder / BROWSERS_FILE, _browser), _read(folder / ROBOTS_FILE, _robot))


def _read(
    path: Path, entry_of: Callable[[list[str]], ListedAgent | None]
) -> tuple[ListedAgent, ...]:
    if not path.exists():
        return ()
    entries = []
    for number, fields in _lines(path):
        try:
            entry = entry_of(fields)
        except ValueError as error:
            raise AgentListError(f"{path}, line {number}: {error}") from error
        if entry is not None:
            entries.append(entry)
    if not entries:
        raise AgentListError(
            f"{path} has no active entry: download the list again, or take the file away"
        )
    return tuple(sorted(set(entries), key=lambda e: (e.text, e.at_start, e.exceptions)))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AgentListError(f"{path} is not UTF-8: {error.reason}; save it as UTF-8") from error
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            # Blanks belong to a pattern: "bot " is not "bot".
            yield number, line.rstrip("\r\n").split("|")


def _browser(fields: list[str]) -> ListedAgent | None:
    _require_count(fields, _BROWSER_FIELDS, "pattern|active|start-of-string")
    text, active, at_start = fields[:_BROWSER_FIELDS]
    _require(active, _FLAG, "active flag")
    _require(at_start, _FLAG, "start-of-string flag")
    return _entry(text, active, at_start, "")


def _robot(fields: list[str]) -> ListedAgent | None:
    form = "pattern|active|exceptions|one-pass|impact|start-of-string"
    _require_count(fields, _ROBOT_FIELDS, form)
    text, active, exceptions, one_pass, impact, at_start = fields[:_ROBOT_FIELDS]
    _require(active, _FLAG, "active flag")
    _require(one_pass, _FLAG, "one-pass flag")
    _require(impact, _IMPACT, "impact")
    _require(at_start, _FLAG, "start-of-string flag")
    return _entry(text, active, at_start, exceptions)


def _entry(text: str, active: str, at_start: str, exceptions: str) -> ListedAgent | None:
    if not text.strip():
        raise ValueError("the pattern is empty, and would mean every user agent")
    if active.strip() == "0":
        return None
    apart = (part.strip().lower() for part in exceptions.split(", "))
    return ListedAgent(text.lower(), at_start.strip() == "1", tuple(p for p in apart if p))


def _require_count(fields: list[str], wanted: int, form: str) -> None:
    if len(fields) not in {wanted, wanted + 1}:
        raise ValueError(f"has {len(fields)} fields, not {wanted}: {form}, and perhaps a date")
    if len(fields) > wanted and (date := fields[wanted].strip()) and not _DATE.fullmatch(date):
        raise ValueError(f"{date!r} is not a date like 12/31/2026")


def _require(value: str, allowed: frozenset[str], name: str) -> None:
    if value.strip() not in allowed:
        raise ValueError(
            f"the {name} is {value.strip()!r}, not one of {', '.join(sorted(allowed))}"
        )
