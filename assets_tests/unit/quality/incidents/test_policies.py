"""Every check has the remedy of the table, and the most upstream one goes first."""

from __future__ import annotations

import itertools

import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.quality.incidents.model import Action, Remedy, Severity, Source
from adx_platform.quality.incidents.policies import UPSTREAM_FIRST, choose, most_upstream
from adx_platform.quality.incidents.scopes import is_about_incidents, scope_of
from assets_tests.unit.quality.incidents.findings import finding

STREAM = "stream:ad_impressions"
RANGES = (OffsetRange(0, 5, 9),)
AGAIN = Remedy(Action.REFINE_AGAIN, "ad_impressions", "t", RANGES)

CASES = [
    ("lake/raw/ad_impressions:files_intact", STREAM, Action.REPAIR_LAKE),
    ("lake/events/ad_impressions:conservation", STREAM, Action.REPAIR_LAKE),
    ("lake/events/ad_impressions:conservation_history", STREAM, Action.REPAIR_LAKE),
    ("lake/events/ad_impressions:contract", STREAM, Action.OBSERVE),
    ("lake/events/ad_impressions:reject_share", STREAM, Action.OBSERVE),
    ("lake/events/ad_impressions:event_delay", STREAM, Action.OBSERVE),
    ("kafka/ad_impressions:broker", STREAM, Action.OBSERVE),
    ("warehouse/marts/agg_arrivals_hourly:volume_ad_impressions", STREAM, Action.OBSERVE),
    ("warehouse/marts/agg_arrivals_hourly:reject_rate_ad_impressions", STREAM, Action.OBSERVE),
    ("warehouse/marts/agg_exchange_hourly:ctr", "market", Action.OBSERVE),
    ("warehouse/marts/agg_exchange_hourly:cpm", "market", Action.OBSERVE),
    ("warehouse/marts/conservation_offsets:conservation", "warehouse", Action.REBUILD_MARTS),
    ("warehouse/marts/fct_impressions:unique_fct", "warehouse", Action.REBUILD_MARTS),
    ("warehouse/marts/fct_impressions:correlation", "warehouse", Action.OBSERVE),
    ("warehouse/staging/stg_clicks:not_null", "warehouse", Action.OBSERVE),
    ("warehouse/raw/bid_requests:conservation", "stream:bid_requests", Action.OBSERVE),
    ("reference/fx_rates:reference_coverage", "reference", Action.RELOAD_REFERENCE),
    ("platform/ingest_loop:alive", "platform", Action.OBSERVE),
]


@pytest.mark.parametrize(("key", "scope", "action"), CASES, ids=[case[0] for case in CASES])
def test_a_failed_check_has_its_scope_and_remedy(key: str, scope: str, action: Action) -> None:
    choice = choose(finding(key))

    assert scope_of(finding(key)) == scope
    assert choice.remedy.action == action
    assert choice.reason


RUNS = [
    ("build:run", "warehouse", Action.REBUILD_MARTS),
    ("load:run", "warehouse", Action.OBSERVE),
    ("audit:run", "warehouse", Action.OBSERVE),
    ("load_reference_data:run", "reference", Action.RELOAD_REFERENCE),
    ("ingest_ad_impressions/lane-1:run", STREAM, Action.OBSERVE),
    ("report:run", "platform", Action.OBSERVE),
]


@pytest.mark.parametrize(("key", "scope", "action"), RUNS, ids=[case[0] for case in RUNS])
def test_a_failed_run_has_its_scope_and_remedy(key: str, scope: str, action: Action) -> None:
    failed = finding(key, source=Source.RUN)

    assert scope_of(failed) == scope
    assert choose(failed).remedy.action == action


def test_the_repair_is_of_the_stream_of_the_check() -> None:
    assert choose(finding("lake/raw/bid_requests:conservation")).remedy == Remedy(
        Action.REPAIR_LAKE, stream="bid_requests"
    )


def test_a_check_that_proposes_a_remedy_gets_it() -> None:
    proposal = Remedy(Action.REFINE_AGAIN, "ad_impressions", reasons=("unknown_schema",))

    assert choose(finding("lake/events/ad_impressions:reject_share", remedy=proposal)).remedy == (
        proposal
    )


def test_the_contract_is_mended_only_in_named_ranges() -> None:
    without = Remedy(Action.REFINE_AGAIN, "ad_impressions")
    key = "lake/events/ad_impressions:contract"

    assert choose(finding(key, remedy=AGAIN)).remedy == AGAIN
    assert choose(finding(key, remedy=without)).remedy.action == Action.OBSERVE


def test_a_warning_of_a_models_test_does_not_rebuild() -> None:
    warned = finding("warehouse/marts/fct_clicks:accepted_values", severity=Severity.WARNING)

    assert choose(warned).remedy.action == Action.OBSERVE


def test_stale_assets_and_dead_daemons_are_watched() -> None:
    stale = finding("lake/events/ad_impressions:freshness", source=Source.FRESHNESS)
    dead = finding("SENSOR:alive", source=Source.DAEMON)

    assert (scope_of(stale), choose(stale).remedy.action) == (STREAM, Action.OBSERVE)
    assert (scope_of(dead), choose(dead).remedy.action) == ("platform", Action.OBSERVE)


def test_what_repairs_most_upstream_goes_first() -> None:
    for order in itertools.permutations(Action):
        assert most_upstream(Remedy(action) for action in order).action == Action.REPAIR_LAKE
    for place, action in enumerate(UPSTREAM_FIRST):
        rest = [Remedy(later) for later in reversed(UPSTREAM_FIRST[place:])]
        assert most_upstream(rest).action == action
    assert set(UPSTREAM_FIRST) == set(Action)


def test_only_the_standing_check_is_about_incidents() -> None:
    assert is_about_incidents(finding("platform/incidents:unresolved_incidents"))
    assert not is_about_incidents(finding("platform/ingest_loop:alive"))
