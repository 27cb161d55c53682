"""Which faults are on, from order to end, and the log of what they really did.

Belongs here: taking orders, starting and ending faults on the simulated clock, the log. Does not
belong here: what a kind does (``live_faults``).

The log is ``faults.jsonl``: a line when a fault starts and one when it ends, each with the wall
clock and the simulated one. A fault that a killed market left without an end is ended when the
market starts again, so that no schema stays unregistered for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from adx_platform.codecs.registry import SchemaRegistry
from adx_platform.simulate.live_faults import Fault, Surroundings, make_fault, register_changed
from adx_platform.simulate.live_message import LiveMessage
from adx_platform.simulate.live_orders import (
    FaultOrder,
    OrderRefused,
    put_away,
    waiting_orders,
)

LOG_NAME: Final = "faults.jsonl"


@dataclass(slots=True)
class _Running:
    order: FaultOrder
    fault: Fault
    until: datetime


class FaultBoard:
    """The faults of one running market."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._folder = around.folder
        self._planned: list[FaultOrder] = []
        self._running: list[_Running] = []

    @property
    def running(self) -> tuple[str, ...]:
        """Kinds of the faults that are on."""
        return tuple(item.order.kind for item in self._running)

    def take_orders(self, now: datetime) -> None:
        """Take what was ordered since the last look; begin what is due at ``now``."""
        for found in list(waiting_orders(self._folder)):
            if isinstance(found, FaultOrder):
                self._planned.append(found)
                put_away(self._folder, found.order_id)
            else:
                self._refuse(*found, now, move=True)
        for order in [o for o in self._planned if o.start is None or o.start <= now]:
            self._planned.remove(order)
            self._begin(order, now)

    def end_due(self, now: datetime) -> None:
        """End what has lasted long enough at ``now``."""
        for item in [item for item in self._running if item.until <= now]:
            self._end(item, now, "ended")

    def end_all(self, now: datetime) -> None:
        """End everything: the market stops."""
        for item in list(self._running):
            self._end(item, now, "stopped")

    def pass_on(self, message: LiveMessage) -> Iterable[LiveMessage]:
        """What goes out in place of ``message``."""
        passing = [message]
        for item in self._running:
            passing = [
                out
                for one in passing
                for out in ((one,) if one.is_extra else item.fault.apply(one))
            ]
        return passing

    def _begin(self, order: FaultOrder, now: datetime) -> None:
        until = now + timedelta(minutes=order.minutes)
        try:
            fault = make_fault(order, self._around)
        except OrderRefused as problem:
            self._refuse(order.order_id, problem, now, move=False)
            return
        fault.begin(now, until)
        self._running.append(_Running(order, fault, until))
        self._log(
            order.order_id,
            "started",
            now,
            kind=order.kind,
            minutes=order.minutes,
            parameters=dict(order.parameters),
        )

    def _end(self, item: _Running, now: datetime, word: str) -> None:
        self._running.remove(item)
        item.fault.end()
        self._log(
            item.order.order_id,
            word,
            now,
            kind=item.order.kind,
            messages=item.fault.affected,
        )

    def _refuse(self, order_id: str, problem: OrderRefused, now: datetime, *, move: bool) -> None:
        if move:
            put_away(self._folder, order_id, refused=True)
        self._log(order_id, "refused", now, reason=str(problem))

    def _log(self, order_id: str, word: str, now: datetime, **more: object) -> None:
        append_line(self._folder / LOG_NAME, _line(order_id, word, now, **more))


def fault_log(folder: Path) -> list[dict[str, Any]]:
    """Every line of the log, oldest first; ``folder`` is the live market's."""
    path = folder / LOG_NAME
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def end_abandoned(folder: Path, registry: SchemaRegistry, now: datetime) -> None:
    """Finish what a market that was killed left behind: register its schemas, close its log."""
    for path in sorted((folder / "unregistered" / "schemas").glob("*.avsc")):
        register_changed(registry, path.read_text(encoding="utf-8"))
    open_ids = {}
    for line in fault_log(folder):
        if line["event"] == "started":
            open_ids[line["id"]] = line["kind"]
        else:
            open_ids.pop(line["id"], None)
    for order_id, kind in open_ids.items():
        append_line(folder / LOG_NAME, _line(order_id, "interrupted", now, kind=kind))


def append_line(path: Path, document: dict[str, Any]) -> None:
    """Add one document to a file with one per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(document, sort_keys=True) + "\n")


def _line(order_id: str, word: str, now: datetime, **more: object) -> dict[str, Any]:
    return {
        "id": order_id,
        "event": word,
        "wall": datetime.now(UTC).isoformat(),
        "simulated": now.isoformat(),
        **more,
    }
