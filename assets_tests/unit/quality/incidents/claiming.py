"""What several processes do to one incident database at the same moment."""

from __future__ import annotations

from pydantic import SecretStr

from adx_platform.contracts.streams import STREAMS
from adx_platform.quality.incidents.lifecycle import NotDue
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import IncidentSettings
from assets_tests.unit.quality.incidents.findings import after, finding

KEYS = [f"lake/events/{stream}:files_intact" for stream in STREAMS]


def report(url: str, rounds: int) -> int:
    """Record the same findings as the others do; how many of them changed something here."""
    changed = 0
    for number in range(rounds):
        with IncidentStore.open(SecretStr(url)) as store:
            one = finding(KEYS[number % len(KEYS)], at=number)
            changed += len(store.record([one], settings=IncidentSettings(), now=after(number)))
    return changed


def claim(url: str, rounds: int) -> int:
    """Ask for every attempt that is due; how many of them were won here."""
    won = 0
    with IncidentStore.open(SecretStr(url)) as store:
        for number in range(rounds):
            for incident in store.incidents():
                try:
                    store.begin_attempt(incident.incident_id, run_id=None, now=after(100 + number))
                except NotDue:
                    continue
                won += 1
    return won
