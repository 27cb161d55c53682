"""The twelve faults of the drill: how each is injected, and what must follow.

Belongs here: the table. Does not belong here: the order in time (``drill``), or the judgement
(``scoreboard``).

A fault takes the scopes in ``locks`` for itself while it lasts, so that an incident in one of them
can only be of it; faults without a common lock run at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from adx_platform.contracts.streams import STREAMS
from adx_platform.living import faults_market, faults_services, faults_state
from adx_platform.living.journal import DIED, HELD, STARTED, Journal, first
from adx_platform.living.programs import INGEST
from adx_platform.living.scoreboard import Expectation, Outcome
from adx_platform.living.supervisor import BROKER
from adx_platform.quality.incidents.model import Action
from adx_platform.settings import Settings

BIDS, IMPRESSIONS, CLICKS = (f"stream:{name}" for name in STREAMS)
MARKET_SCOPE, REFERENCE, WAREHOUSE, PLATFORM = "market", "reference", "warehouse", "platform"
EVERYTHING: Final = (BIDS, IMPRESSIONS, CLICKS, PLATFORM)
DOWN_SECONDS: Final = 60.0

Seen = tuple[datetime | None, datetime | None]
"""When the supervisor saw a fault, and when it had ended it."""


@dataclass(frozen=True)
class Fault:
    """One line of the plan.

    Attributes:
        expectation: what must follow.
        inject: does the damage; may return the id of an order to the market.
        locks: scopes that it takes for itself.
        is_in_traffic: whether its traces stay in the hourly marts for some hours.
        seen: asks the supervisor's journal, for a fault that needs no incident.
    """

    expectation: Expectation
    inject: Callable[[Settings], str | None]
    locks: frozenset[str]
    is_in_traffic: bool = False
    seen: Callable[[Settings, datetime], Seen] | None = None

    @property
    def name(self) -> str:
        """Of the fault."""
        return self.expectation.name


def plan() -> tuple[Fault, ...]:
    """Every fault, in the order in which they begin where the locks allow it."""
    return (
        _in_traffic(
            Expectation(
                "malformed storm", Outcome.RECOVERED, (IMPRESSIONS,), ("reject_", "volume_")
            ),
            "malformed_storm",
            minutes=60,
            topic="ad_impressions",
            share=0.8,
        ),
        _in_traffic(
            Expectation(
                "schema change",
                Outcome.MENDED,
                (BIDS,),
                ("rejects_refinable", "reject_", "volume_"),
                actions=frozenset({Action.REFINE_AGAIN}),
                needs_remedy=True,
            ),
            "schema_change",
            # While the resident loop is dead nothing is rejected, and then the schema is there.
            also_locks=frozenset({PLATFORM}),
            minutes=60,
        ),
        _in_traffic(
            Expectation("late flood", Outcome.RECOVERED, (CLICKS,), ("late_", "volume_")),
            "late_flood",
            minutes=40,
        ),
        Fault(
            Expectation(
                "reference data stale",
                Outcome.MENDED,
                (REFERENCE,),
                ("reference_coverage",),
                side_scopes=(WAREHOUSE,),
                actions=frozenset({Action.RELOAD_REFERENCE, Action.REBUILD_MARTS}),
                needs_remedy=True,
            ),
            _lose_rates,
            frozenset({REFERENCE, WAREHOUSE}),
        ),
        Fault(
            Expectation(
                "process killed mid-refine",
                Outcome.MENDED,
                (PLATFORM,),
                detect_within=timedelta(minutes=2),
                settle_within=timedelta(minutes=4),
            ),
            _kill,
            frozenset({PLATFORM}),
            seen=_seen_killed,
        ),
        Fault(
            Expectation(
                "torn lake file",
                Outcome.MENDED,
                (IMPRESSIONS,),
                ("files_intact", "conservation"),
                side_scopes=(WAREHOUSE,),
                actions=frozenset({Action.REPAIR_LAKE, Action.REFINE_AGAIN}),
                needs_remedy=True,
            ),
            _tear,
            frozenset({IMPRESSIONS, WAREHOUSE}),
        ),
        _in_traffic(
            Expectation("duplicate storm", Outcome.RECOVERED, (BIDS,), ("duplicate_", "volume_")),
            "duplicate_storm",
            minutes=120,
            topic="bid_requests",
            share=0.6,
        ),
        _in_traffic(
            Expectation(
                "volume drop",
                Outcome.RECOVERED,
                (IMPRESSIONS,),
                ("volume_",),
                side_scopes=(MARKET_SCOPE, WAREHOUSE),
            ),
            "volume_drop",
            minutes=120,
            topic="ad_impressions",
            share=0.95,
        ),
        Fault(
            Expectation(
                "broker restart",
                Outcome.MENDED,
                EVERYTHING,
                detect_within=timedelta(minutes=1),
                settle_within=timedelta(minutes=6),
            ),
            _restart,
            frozenset(EVERYTHING),
            seen=_seen_broker,
        ),
        Fault(
            Expectation(
                "broker down 60 s",
                Outcome.RECOVERED,
                EVERYTHING,
                ("broker", "alive", "run"),
                side_scopes=(WAREHOUSE,),
                detect_within=timedelta(minutes=2),
                settle_within=timedelta(minutes=8),
            ),
            _down,
            frozenset(EVERYTHING),
        ),
        _in_traffic(
            Expectation(
                "exchange silent",
                Outcome.RECOVERED,
                (BIDS, IMPRESSIONS),
                ("exchange_volume_", "volume_"),
                side_scopes=(MARKET_SCOPE, WAREHOUSE),
            ),
            "exchange_silent",
            minutes=120,
        ),
        Fault(
            Expectation(
                "unmendable",
                Outcome.ESCALATED,
                (REFERENCE,),
                ("reference", "run"),
                actions=frozenset({Action.RELOAD_REFERENCE}),
            ),
            _rot,
            frozenset({REFERENCE}),
        ),
    )


def _in_traffic(
    expectation: Expectation,
    kind: str,
    *,
    minutes: float,
    also_locks: frozenset[str] = frozenset(),
    **parameters: object,
) -> Fault:
    def inject(settings: Settings) -> str:
        return faults_market.order_fault(settings, kind, minutes, **parameters)

    locks = frozenset((*expectation.scopes, *expectation.side_scopes)) - {WAREHOUSE}
    return Fault(expectation, inject, locks | also_locks, is_in_traffic=True)


def _lose_rates(settings: Settings) -> None:
    faults_state.lose_rates(settings)


def _kill(settings: Settings) -> None:
    faults_services.kill_mid_refine(settings)


def _tear(settings: Settings) -> None:
    faults_state.tear_file(settings, "ad_impressions")


def _restart(settings: Settings) -> None:
    faults_services.restart_broker(settings)


def _down(settings: Settings) -> None:
    faults_services.broker_down(settings, DOWN_SECONDS)


def _rot(settings: Settings) -> None:
    faults_state.rot_rates(settings)


def _seen_killed(settings: Settings, after: datetime) -> Seen:
    entries = Journal.of(settings).entries()
    died = first(entries, DIED, INGEST, after=after)
    back = first(entries, STARTED, INGEST, after=died.at) if died is not None else None
    return (died.at if died else None), (back.at if back else None)


def _seen_broker(settings: Settings, after: datetime) -> Seen:
    entries = Journal.of(settings).entries()
    held = first(entries, HELD, BROKER, after=after)
    back = first(entries, STARTED, BROKER, after=held.at) if held is not None else None
    return (held.at if held else None), (back.at if back else None)
