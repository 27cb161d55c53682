"""Faults in the traffic: ordered from the running market.

Belongs here: one function for all of them, and the moment when one really began and ended. Does not
belong here: what a kind does (``simulate.live_faults``).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from adx_platform.errors import AdxError
from adx_platform.settings import Settings
from adx_platform.simulate.live_board import fault_log
from adx_platform.simulate.live_orders import live_dir, place_order


class Happened(NamedTuple):
    """When a fault began and ended, on the wall clock; null: not yet. ``messages`` it touched."""

    started: datetime | None
    ended: datetime | None
    messages: int


def order_fault(settings: Settings, kind: str, minutes: float, **parameters: object) -> str:
    """Ask the market of the home for a fault of so many simulated minutes; returns its id."""
    return place_order(live_dir(settings), kind, minutes=minutes, parameters=parameters)


def happened(settings: Settings, order_id: str) -> Happened:
    """What the market's log says about an order.

    Raises:
        AdxError: the market refused it.
    """
    started = ended = None
    messages = 0
    for line in fault_log(live_dir(settings)):
        if line["id"] != order_id:
            continue
        if line["event"] == "refused":
            raise AdxError(f"the market refused {order_id}: {line['reason']}")
        at = datetime.fromisoformat(line["wall"])
        if line["event"] == "started":
            started = at
        else:
            ended = at
            messages = int(line.get("messages", 0))
    return Happened(started, ended, messages)
