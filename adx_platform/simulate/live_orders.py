"""Orders for faults: how another process asks the running market for one.

Belongs here: the order, its file, and the folder that the market looks into. Does not belong here:
what a fault does (``live_faults``).

A file ``orders/<id>.json`` appears by rename, whole; the market moves it to ``taken`` or, with a
word about why, to ``refused``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from adx_platform.errors import AdxError
from adx_platform.settings import Settings


class OrderRefused(AdxError):  # noqa: N818 - it names the state, like the platform's other errors
    """An order cannot be carried out; the message says why."""


@dataclass(frozen=True, slots=True)
class FaultOrder:
    """One fault to come.

    Attributes:
        order_id: names it in the log.
        kind: a key of ``live_faults.KINDS``.
        minutes: how long it lasts, on the simulated clock.
        start: when it begins, on the simulated clock; null: at once.
        parameters: of the kind.
    """

    order_id: str
    kind: str
    minutes: float
    start: datetime | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def live_dir(settings: Settings) -> Path:
    """Folder of everything that the live market writes."""
    return settings.simulation_dir / "live"


def orders_dir(folder: Path) -> Path:
    """Where orders are put; ``folder`` is :func:`live_dir`."""
    return folder / "orders"


def place_order(
    folder: Path,
    kind: str,
    *,
    minutes: float,
    start: datetime | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> str:
    """Ask the market that runs over ``folder`` for a fault.

    Returns:
        The order's id: the market's log of faults has it.
    """
    order_id = f"{kind}-{uuid.uuid4().hex[:8]}"
    document = {
        "kind": kind,
        "minutes": minutes,
        "start": start.isoformat() if start is not None else None,
        "parameters": dict(parameters or {}),
    }
    target = orders_dir(folder) / f"{order_id}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".tmp")
    draft.write_text(json.dumps(document), encoding="utf-8")
    draft.replace(target)
    return order_id


def waiting_orders(folder: Path) -> Iterator[FaultOrder | tuple[str, OrderRefused]]:
    """Every order that was not taken yet, oldest first; one that makes no sense with its reason."""
    found = orders_dir(folder)
    if not found.is_dir():
        return
    for path in sorted(found.glob("*.json"), key=lambda item: item.stat().st_mtime):
        try:
            yield _read(path)
        except OrderRefused as problem:
            yield path.stem, problem


def put_away(folder: Path, order_id: str, *, refused: bool = False) -> None:
    """Move an order out of the way of the next look."""
    source = orders_dir(folder) / f"{order_id}.json"
    target = source.parent / ("refused" if refused else "taken") / source.name
    target.parent.mkdir(exist_ok=True)
    source.replace(target)


def _read(path: Path) -> FaultOrder:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        start = document.get("start")
        order = FaultOrder(
            order_id=path.stem,
            kind=str(document["kind"]),
            minutes=float(document["minutes"]),
            start=None if start is None else datetime.fromisoformat(start),
            parameters=dict(document.get("parameters") or {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OrderRefused(f"{path.name} is no order for a fault: {error!r}") from error
    if order.minutes <= 0:
        raise OrderRefused(f"{path.name}: minutes must be above 0, got {order.minutes:g}")
    if order.start is not None and order.start.tzinfo is None:
        raise OrderRefused(f"{path.name}: start must carry a time zone")
    return order
