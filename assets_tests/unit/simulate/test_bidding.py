from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from adx_platform.simulate.bidding import Bid, Bidder, NoBid, floor_micros
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.geography import COUNTRIES
from adx_platform.simulate.inventory import Inventory, Placement
from adx_platform.simulate.population import Person, Population
from adx_platform.simulate.randomness import generator
from adx_platform.simulate.world import World, build_world

CONFIG = MarketConfig(events=20_000, seed=9)
NOON = CONFIG.start + timedelta(hours=12)


class Auction:
    """One person at one banner, again and again."""

    def __init__(self, world: World) -> None:
        self.rng = generator(4, "auction")
        self.world = world
        population, inventory = Population(CONFIG), Inventory(CONFIG, world)
        self.person: Person = next(
            person
            for person in iter(lambda: population.person(self.rng, COUNTRIES[0]), None)
            if not person.in_app and person.sent_id
        )
        self.robot = population.robot(self.rng)
        place = inventory.property_for(self.rng, self.person)
        self.exchange = place.publisher.exchange
        self.placement: Placement = replace(
            place.placements[0], media_type="banner", width=300, height=250
        )

    def decisions(self, bidder: Bidder, count: int = 400, **changes: Any) -> list[Bid | NoBid]:
        options = {
            "person": self.person,
            "placement": self.placement,
            "exchange": self.exchange,
            "floor_micros": floor_micros(self.placement, self.person, self.exchange),
            "has_deal": False,
        } | changes
        return [bidder.decide(self.rng, bid_id=str(n), **options) for n in range(count)]


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(CONFIG)


@pytest.fixture
def auction(world: World) -> Auction:
    return Auction(world)


def _bids(decisions: list[Bid | NoBid]) -> list[Bid]:
    return [decision for decision in decisions if isinstance(decision, Bid)]


def _bidder(world: World) -> Bidder:
    bidder = Bidder(world)
    bidder.begin_hour(NOON)
    return bidder


def test_bids_respect_targeting_floor_and_clearing(world: World, auction: Auction) -> None:
    bids = _bids(auction.decisions(_bidder(world)))
    floor = floor_micros(auction.placement, auction.person, auction.exchange)
    assert len(bids) > 50
    assert {bid.is_won for bid in bids} == {True, False}
    for bid in bids:
        assert auction.person.country.code in bid.campaign.countries
        assert auction.person.device.device_type in bid.campaign.device_types
        assert (bid.creative.media_type, bid.creative.width) == ("banner", 300)
        assert bid.price_micros >= floor
        assert bid.currency == auction.exchange.currency
        assert bid.is_won == (bid.loss is None)
        if bid.is_won:
            assert floor <= bid.clearing_micros <= bid.price_micros
        else:
            assert bid.min_to_win_micros > bid.price_micros


def test_a_higher_floor_than_any_value_is_never_bid_on(world: World, auction: Auction) -> None:
    decisions = auction.decisions(_bidder(world), floor_micros=10**12)
    assert not _bids(decisions)
    assert NoBid.BELOW_FLOOR in decisions


def test_robots_are_often_refused_for_what_they_are(world: World, auction: Auction) -> None:
    decisions = auction.decisions(_bidder(world), person=auction.robot)
    expected = {
        "user_agent": NoBid.KNOWN_CRAWLER,
        "non_browser": NoBid.NON_HUMAN,
        "data_centre": NoBid.CLOUD_ADDRESS,
    }[auction.robot.givt_reason]
    assert 0.1 < decisions.count(expected) / len(decisions) < 0.6


def test_the_frequency_cap_holds_per_person_and_local_day(world: World, auction: Auction) -> None:
    bidder = _bidder(world)
    for campaign in world.campaigns:
        for _ in range(campaign.frequency_cap_per_day):
            bidder.note_shown(auction.person, campaign)
    decisions = auction.decisions(bidder)
    assert not _bids(decisions)
    assert NoBid.FREQUENCY_CAP in decisions
    bidder.begin_hour(NOON + timedelta(days=1))
    assert _bids(auction.decisions(bidder))


def test_a_spent_budget_stops_the_campaign_until_tomorrow(world: World, auction: Auction) -> None:
    bidder = _bidder(world)
    for campaign in world.campaigns:
        bidder.note_spend(campaign, campaign.daily_budget_micros * 2_000, "USD")
        bidder.note_spend(campaign, campaign.daily_budget_micros * 2_000, "GBP")
    decisions = auction.decisions(bidder)
    assert not _bids(decisions)
    assert NoBid.PACED in decisions
    bidder.begin_hour(NOON + timedelta(days=1))
    assert _bids(auction.decisions(bidder))


def test_campaigns_outside_their_flights_do_not_bid(world: World, auction: Auction) -> None:
    bidder = Bidder(world)
    bidder.begin_hour(CONFIG.start + timedelta(days=400))
    assert not _bids(auction.decisions(bidder))


def test_paused_campaigns_do_not_bid(world: World, auction: Auction) -> None:
    paused = replace(world, campaigns=tuple(replace(c, status="paused") for c in world.campaigns))
    assert not _bids(auction.decisions(_bidder(paused)))


def test_deals_are_taken_only_where_offered(world: World, auction: Auction) -> None:
    bidder = _bidder(world)
    assert all(bid.deal_id is None for bid in _bids(auction.decisions(bidder)))
    with_deal = {bid.deal_id for bid in _bids(auction.decisions(bidder, has_deal=True))}
    assert with_deal == {None, f"deal-{auction.placement.placement_id}"}


def test_decisions_need_nothing_but_the_generator(world: World, auction: Auction) -> None:
    first, second = ([], [])
    for decisions in (first, second):
        auction.rng = Random("same")
        decisions.extend(auction.decisions(_bidder(world), 50))
    assert first == second
