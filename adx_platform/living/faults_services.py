"""Faults of processes: the broker goes away, the resident loop is killed in the middle of a commit.

Belongs here: giving the supervisor the orders for them. Does not belong here: carrying them out.
"""

from __future__ import annotations

from adx_platform import faultpoints
from adx_platform.living.orders import ServiceOrder, give_order
from adx_platform.living.programs import INGEST, MARKET
from adx_platform.living.supervisor import BROKER
from adx_platform.settings import Settings

KILLED_AT = "refine.before_commit"
_BROKER_START_SECONDS = 15.0


def restart_broker(settings: Settings) -> None:
    """Stop the broker and start it again at once."""
    broker_down(settings, 0.0)


def broker_down(settings: Settings, seconds: float) -> None:
    """Stop the broker, and start it again later.

    The market rests meanwhile. The embedded broker forgets what it acknowledges while it stops:
    the lake had landed a message whose offset another one got afterwards, and its lane stopped for
    good, as it must (2026-11). A broker that keeps its word needs no such care.
    """
    give_order(settings, ServiceOrder(MARKET, hold_seconds=seconds + _BROKER_START_SECONDS))
    give_order(settings, ServiceOrder(BROKER, hold_seconds=seconds))


def kill_mid_refine(settings: Settings) -> None:
    """Let the resident loop die by SIGKILL when rows are landed, refined and not yet committed.

    Its next life has the fault point in its environment; the life after that one does not.
    """
    give_order(settings, ServiceOrder(INGEST, environment={faultpoints.VARIABLE: KILLED_AT}))
