from __future__ import annotations

import pytest

from adx_platform.simulate.agents import CONNECTED_TV
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.geography import COUNTRIES
from adx_platform.simulate.inventory import Inventory
from adx_platform.simulate.population import Population
from adx_platform.simulate.randomness import generator
from adx_platform.simulate.world import build_world

CONFIG = MarketConfig(events=20_000, seed=9)


@pytest.fixture(scope="module")
def visits() -> list:
    world = build_world(CONFIG)
    population, inventory = Population(CONFIG), Inventory(CONFIG, world)
    rng = generator(1, "visits")
    people = [population.person(rng, COUNTRIES[0]) for _ in range(1_500)]
    return [(person, inventory.property_for(rng, person)) for person in people]


def test_people_go_where_their_device_can(visits: list) -> None:
    kinds = set()
    for person, place in visits:
        kinds.add(place.kind)
        assert (place.channel == "site") == (not person.in_app)
        assert (place.kind == "tv") == (person.in_app and person.device.device_type == CONNECTED_TV)
        assert (place.site_domain is None) != (place.app_bundle is None)
    assert kinds == {"site", "app", "tv"}


def test_placements_are_sold_below_the_price_they_fetch(visits: list) -> None:
    media = set()
    for _, place in visits:
        for placement in place.placements:
            media.add(placement.media_type)
            assert 0 < placement.floor_usd < placement.landscape_usd
            assert 0 < placement.viewable_share < 1
            assert placement.placement_id.startswith(place.publisher.publisher_id)
            assert place.kind != "tv" or placement.media_type == "video"
    assert media == {"banner", "native", "video"}
