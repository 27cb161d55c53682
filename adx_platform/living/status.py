"""One line about the living platform: the clock, the lag, the last build, open incidents.

Belongs here: gathering four figures cheaply, each of which may be missing. Does not belong here:
judging them.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from adx_platform.errors import AdxError
from adx_platform.living.programs import HOST
from adx_platform.quality.incidents.model import Incident, State
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings
from adx_platform.simulate.live_orders import live_dir
from adx_platform.simulate.live_state import LiveState, load_state

BEHIND_METRIC: Final = "adx_behind_offsets{"
OPEN_STATES: Final = frozenset(State) - {State.RESOLVED}
_TIMEOUT_SECONDS: Final = 2.0


def status_line(settings: Settings, health_port: int | None) -> str:
    """The line, with a dash for what cannot be told yet."""
    market = market_state(settings)
    behind = offsets_behind(health_port)
    incidents = open_incidents(settings)
    parts = [
        f"simulated {market.clock:%a %Y-%m-%d %H:%M}" if market else "simulated -",
        f"behind {behind:,}" if behind is not None else "behind -",
        f"last build {_age(last_build(settings))}",
    ]
    if market and not market.is_live:
        parts[0] += " (history)"
    if market and market.faults:
        parts.append(f"fault on: {', '.join(market.faults)}")
    shown = ", ".join(f"{i.incident_id} {i.scope} {i.state.value}" for i in incidents[:3])
    more = f" and {len(incidents) - 3} more" if len(incidents) > len(incidents[:3]) else ""
    parts.append(f"incidents {len(incidents)}" + (f" ({shown}{more})" if incidents else ""))
    return " | ".join(parts)


def market_state(settings: Settings) -> LiveState | None:
    """Where the market is; None before it began."""
    try:
        return load_state(live_dir(settings))
    except AdxError:
        return None


def offsets_behind(health_port: int | None) -> int | None:
    """Offsets that the resident loop has not taken yet, as it says itself."""
    if health_port is None:
        return None
    url = f"http://{HOST}:{health_port}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None
    values = [line.rpartition(" ")[2] for line in text.splitlines() if _is_behind(line)]
    return sum(int(float(value)) for value in values) if values else None


def last_build(settings: Settings) -> datetime | None:
    """When the marts were published last."""
    current: Path = settings.published_dir / "CURRENT"
    try:
        return datetime.fromtimestamp(current.stat().st_mtime, tz=UTC)
    except FileNotFoundError:
        return None


def open_incidents(settings: Settings) -> list[Incident]:
    """Incidents that are not over, newest first."""
    if settings.incidents.url is None and not (settings.home / "incidents.sqlite").exists():
        return []
    with IncidentStore.open(settings.incidents_url) as store:
        return store.incidents(states=OPEN_STATES)


def _is_behind(line: str) -> bool:
    return line.startswith(BEHIND_METRIC)


def _age(moment: datetime | None) -> str:
    if moment is None:
        return "-"
    return f"{(datetime.now(UTC) - moment).total_seconds():.0f} s ago"
