"""What another process may ask the supervisor for: to hold a service down, or to restart one.

Belongs here: the order and its file in ``run/orders``. Does not belong here: carrying it out
(``supervisor``).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adx_platform.settings import Settings


@dataclass(frozen=True, slots=True)
class ServiceOrder:
    """Stop ``service``, and start it again after ``hold_seconds``.

    ``environment`` is added to its next life alone: a fault point, for example.
    """

    service: str
    hold_seconds: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)


def give_order(settings: Settings, order: ServiceOrder) -> None:
    """Leave ``order`` for the supervisor of the home; it looks several times a second."""
    # By name the oldest is first: two orders of one moment have the same time of change.
    target = _folder(settings) / f"{time.time_ns():020d}-{uuid.uuid4().hex}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".tmp")
    draft.write_text(
        json.dumps(
            {
                "service": order.service,
                "hold_seconds": order.hold_seconds,
                "environment": dict(order.environment),
            }
        ),
        encoding="utf-8",
    )
    draft.replace(target)


def take_orders(settings: Settings) -> list[ServiceOrder]:
    """Every order that waits, oldest first; each is given out once."""
    folder = _folder(settings)
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        found.append(ServiceOrder(**document))
    return found


def _folder(settings: Settings) -> Path:
    return settings.home / "run" / "orders"
