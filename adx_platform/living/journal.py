"""What the supervisor did: a line per start, death, hold and stop.

Belongs here: writing and reading ``run/supervisor.jsonl``. The drill judges by it what no check can
see: that a process which was killed came back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adx_platform.settings import Settings

STARTED, DIED, STOPPED, HELD, FAULT = "started", "died", "stopped", "held", "fault"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: at ``at``, ``event`` happened to ``service``."""

    at: datetime
    event: str
    service: str
    detail: str = ""


class Journal:
    """The file; several processes may read it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, settings: Settings) -> Journal:
        """The journal of a home."""
        return cls(settings.home / "run" / "supervisor.jsonl")

    def note(self, event: str, service: str, detail: str = "") -> Entry:
        """Add a line."""
        entry = Entry(datetime.now(UTC), event, service, detail)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = {"at": entry.at.isoformat(), "event": event, "service": service, "detail": detail}
        with self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(line) + "\n")
        return entry

    def entries(self) -> list[Entry]:
        """Every line, oldest first."""
        if not self._path.is_file():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return [
            Entry(
                datetime.fromisoformat(line["at"]), line["event"], line["service"], line["detail"]
            )
            for line in map(json.loads, lines)
        ]


def first(entries: Iterable[Entry], event: str, service: str, *, after: datetime) -> Entry | None:
    """The first line of that kind at or after a moment."""
    return next(
        (e for e in entries if e.event == event and e.service == service and e.at >= after), None
    )
