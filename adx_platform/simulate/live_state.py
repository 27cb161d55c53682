"""What the live market keeps between two lives, and what it tells others while it runs.

Belongs here: two small files, written whole. ``state.json`` follows the clock every second;
``waiting.json`` holds the messages that an hour found waiting when it began. Does not belong here:
how they are used (``live``).

After a kill at any moment the market goes on at the clock of ``state.json``: it makes that hour
anew, in a new generation, and leaves out what lies before the clock. So the traffic has no hole and
no doubled stretch, and no id appears again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from adx_platform.errors import AdxError
from adx_platform.simulate.live_message import LiveMessage, message_document, message_from

STATE_NAME: Final = "state.json"
WAITING_NAME: Final = "waiting.json"


@dataclass(frozen=True, slots=True)
class LiveState:
    """Where the market is.

    Attributes:
        clock: the simulated moment up to which everything was sent.
        generation: number of this life, from 0.
        market: what it was started with; it cannot be changed later.
        is_live: whether the history is sent and the clock runs.
        sent: messages of this life by topic.
        delivered: of those, how many the broker has acknowledged.
        faults: kinds of the faults that are on.
        open_hour: counts of the hour that is not closed yet.
    """

    clock: datetime
    generation: int
    market: Mapping[str, Any]
    is_live: bool
    sent: Mapping[str, int] = field(default_factory=dict)
    delivered: int = 0
    faults: tuple[str, ...] = ()
    open_hour: Mapping[str, Any] | None = None


def save_state(folder: Path, state: LiveState) -> None:
    """Write ``state.json``."""
    write_whole(
        folder / STATE_NAME,
        {
            "clock": state.clock.isoformat(),
            "generation": state.generation,
            "market": dict(state.market),
            "is_live": state.is_live,
            "sent": dict(state.sent),
            "delivered": state.delivered,
            "faults": list(state.faults),
            "open_hour": state.open_hour,
        },
    )


def load_state(folder: Path) -> LiveState | None:
    """The state that was saved last; null if no market ever ran here.

    Raises:
        AdxError: the file was damaged.
    """
    path = folder / STATE_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return LiveState(
            clock=datetime.fromisoformat(found["clock"]),
            generation=int(found["generation"]),
            market=found["market"],
            is_live=bool(found["is_live"]),
            sent=found["sent"],
            delivered=int(found["delivered"]),
            faults=tuple(found["faults"]),
            open_hour=found["open_hour"],
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise AdxError(
            f"{path} cannot be read ({error!r}): delete the folder {folder} and start a new market "
            "in another ADX_HOME"
        ) from error


def save_waiting(folder: Path, messages: list[LiveMessage]) -> None:
    """Write ``waiting.json``."""
    write_whole(folder / WAITING_NAME, [message_document(message) for message in messages])


def load_waiting(folder: Path) -> list[LiveMessage]:
    """What :func:`save_waiting` wrote last."""
    path = folder / WAITING_NAME
    if not path.is_file():
        return []
    return [message_from(item) for item in json.loads(path.read_text(encoding="utf-8"))]


def write_whole(path: Path, document: object) -> None:
    """Write a JSON file by rename: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(document), encoding="utf-8")
    draft.replace(path)
