"""Faults of processes: the broker goes away, the resident loop is killed in the middle of a commit.

Belongs here: giving the supervisor the orders for them. Does not belong here: carrying them out.
"""

from __future__ import annotations

from adx_platform import faultpoints
from adx_platform.living.orders import ServiceOrder, give_order
from adx_platform.living.programs import INGEST
from adx_platform.living.supervisor import BROKER
from adx_platform.settings import Settings

KILLED_AT = "refine.before_commit"


def restart_broker(settings: Settings) -> None:
    """Stop the broker and start it again at once."""
    give_order(settings, ServiceOrder(BROKER))


def broker_down(settings: Settings, seconds: float) -> None:
    """Stop the broker, and start it again later."""
    give_order(settings, ServiceOrder(BROKER, hold_seconds=seconds))


def kill_mid_refine(settings: Settings) -> None:
    """Let the resident loop die by SIGKILL when rows are landed, refined and not yet committed.

    Its next life has the fault point in its environment; the life after that one does not.
    """
    give_order(settings, ServiceOrder(INGEST, environment={faultpoints.VARIABLE: KILLED_AT}))
