from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import polars as pl
import pytest
from crawleruseragents import is_crawler

from adx_platform.simulate import agents
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.geography import COUNTRIES, DATA_CENTRE_RANGES
from adx_platform.simulate.population import ZERO_ID, Person, Population
from adx_platform.simulate.randomness import generator

NETWORKS = [ip_network(cidr) for cidr, _ in DATA_CENTRE_RANGES]
RESERVED = [ip_network(block) for block in ("100.64.0.0/10", "2001:db8::/32")]


def _is_in(networks: list[Any], address: str) -> bool:
    return any(ip_address(address) in network for network in networks)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population(MarketConfig(events=20_000, seed=3))


def _draw_people(population: Population, country_code: str, count: int) -> list[Person]:
    rng = generator(1, "test")
    country = next(country for country in COUNTRIES if country.code == country_code)
    return [population.person(rng, country) for _ in range(count)]


def test_no_human_agent_is_on_the_crawler_list_and_every_crawler_is() -> None:
    for model in agents.DEVICE_MODELS:
        for agent in (model.user_agent, model.app_user_agent):
            # The empty text stands for no app agent.
            assert not is_crawler(agent or "")
            assert not is_crawler(agent or "", case_sensitive=False)
    assert all(is_crawler(agent) for agent in agents.CRAWLER_AGENTS)
    assert not any(
        is_crawler(agent or "", case_sensitive=case_sensitive)
        for agent in agents.TOOL_AGENTS
        for case_sensitive in (True, False)
    )
    assert sum(model.share for model in agents.DEVICE_MODELS) == pytest.approx(1.0)


def test_each_robot_is_recognisable_by_exactly_its_rule(population: Population) -> None:
    rng = generator(2, "test")
    kinds = set()
    for _ in range(300):
        robot = population.robot(rng)
        kinds.add(robot.givt_reason)
        agent = robot.user_agent
        assert _is_in(NETWORKS, robot.ip) == (robot.givt_reason == "data_centre")
        assert is_crawler(agent or "") == (robot.givt_reason == "user_agent")
        assert (agent in agents.TOOL_AGENTS) == (robot.givt_reason == "non_browser")
        assert robot.revealed["is_givt"]
    assert kinds == {"user_agent", "data_centre", "non_browser"}


def test_people_are_outside_data_centres_with_addresses_nobody_has(population: Population) -> None:
    for country in COUNTRIES:
        for person in _draw_people(population, country.code, 40):
            assert not person.is_robot
            assert not _is_in(NETWORKS, person.ip)
            assert _is_in(RESERVED, person.ip)


def test_ids_as_sent_equal_their_key_after_normalisation(population: Population) -> None:
    kinds = set()
    for person in _draw_people(population, "USA", 3_000):
        sent, key = person.revealed["user_id"], person.revealed["user_key"]
        kinds.add((person.id_kind, sent == ZERO_ID, sent is not None and sent.isupper()))
        if sent is None or sent == ZERO_ID:
            assert key is None
        elif person.id_kind == "id":
            assert key == sent
        else:
            assert key == sent.lower()
    assert {kind for kind, _, _ in kinds} == {None, "buyeruid", "ifa", "id"}
    assert any(zero for _, zero, _ in kinds)
    assert ("ifa", False, True) in kinds


def test_consent_follows_the_law_of_the_country(population: Population) -> None:
    for person in _draw_people(population, "DEU", 500):
        assert person.revealed["gdpr_applies"] is True
        assert person.has_consent == person.revealed["consent"]
    for person in _draw_people(population, "IND", 500):
        assert person.revealed["consent"] is None
        assert person.has_consent
    shares = [person.has_consent for person in _draw_people(population, "FRA", 2_000)]
    assert 0.6 < sum(shares) / len(shares) < 0.95


def test_some_people_are_far_more_active_than_others(market_run: Any) -> None:
    requests = market_run.truth("bid_requests").filter(~pl.col("is_givt")).drop_nulls("user_key")
    per_user = requests.group_by("user_key").len()["len"].sort(descending=True)
    busiest = per_user.head(len(per_user) // 10).sum()
    assert busiest / per_user.sum() > 0.3
