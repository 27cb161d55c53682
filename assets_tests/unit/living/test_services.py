from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from adx_platform.living.journal import DIED, HELD, STARTED, Journal, first
from adx_platform.living.orders import ServiceOrder, give_order, take_orders
from adx_platform.living.services import Supervised
from adx_platform.settings import Settings


class Toy:
    """A program that runs until it is told to die."""

    def __init__(self) -> None:
        self.runs = False
        self.lives: list[dict[str, str]] = []
        self.stops = 0

    def is_running(self) -> bool:
        return self.runs

    def start(self, environment: Mapping[str, str]) -> None:
        self.runs = True
        self.lives.append(dict(environment))

    def stop(self) -> None:
        self.runs = False
        self.stops += 1

    def last_words(self) -> str:
        return "out of memory"


class Watched:
    def __init__(self, folder: Path) -> None:
        self.toy = Toy()
        self.told: list[str] = []
        self.journal = Journal(folder / "journal.jsonl")
        self.service = Supervised("toy", self.toy, self.journal, self.told.append)

    def die(self, now: float) -> float:
        """Let it die at ``now``; returns the pause until it is started again."""
        self.toy.runs = False
        self.service.look(now)
        lives, later = len(self.toy.lives), now
        while len(self.toy.lives) == lives:
            later += 0.5
            self.service.look(later)
        return later - now

    def events(self) -> list[str]:
        return [entry.event for entry in self.journal.entries()]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_it_is_started_once(watched: Watched) -> None:
    for now in range(5):
        watched.service.look(now)
    assert watched.toy.lives == [{}]
    assert watched.events() == [STARTED]


def test_a_death_is_told_and_the_pauses_grow_to_a_bound(watched: Watched) -> None:
    watched.service.look(0)
    pauses, now = [], 1.0
    for _ in range(9):
        pauses.append(watched.die(now))
        now += pauses[-1] + 1
    assert pauses[:4] == [1, 2, 4, 8]
    assert max(pauses) == pauses[-1] == 60
    assert watched.told[0] == "toy has ended; it is started again in 1 s. out of memory"
    assert watched.events()[:3] == [STARTED, DIED, STARTED]


def test_what_a_dead_program_has_started_is_ended_before_its_next_life(watched: Watched) -> None:
    watched.service.look(0)
    watched.die(1)
    assert watched.toy.stops == 1


def test_a_life_that_was_long_enough_forgives_earlier_deaths(watched: Watched) -> None:
    watched.service.look(0)
    for now in (1, 10, 30):
        watched.die(now)
    assert watched.die(200) == 1


def test_an_order_holds_it_down_and_gives_one_life_its_environment(watched: Watched) -> None:
    watched.service.look(0)
    watched.service.carry_out(ServiceOrder("toy", 60, {"ADX_FAULT_KILL_AT": "x"}), 10)
    watched.service.look(69)
    assert (watched.toy.runs, watched.toy.stops) == (False, 1)
    watched.service.look(70)
    watched.die(71)
    assert watched.toy.lives == [{}, {"ADX_FAULT_KILL_AT": "x"}, {}]
    assert watched.events() == [STARTED, HELD, STARTED, DIED, STARTED]


def test_the_journal_finds_the_first_of_a_kind_after_a_moment(watched: Watched) -> None:
    watched.service.look(0)
    (begin,) = watched.journal.entries()
    watched.die(1)
    entries = watched.journal.entries()
    again = first(entries, STARTED, "toy", after=entries[1].at)
    assert again == entries[2]
    assert first(entries, STARTED, "toy", after=begin.at) == begin
    assert first(entries, STARTED, "other", after=begin.at) is None
    assert Journal(Path("nowhere")).entries() == []


def test_orders_are_given_out_once(home: Settings) -> None:
    assert take_orders(home) == []
    order = ServiceOrder("broker", 60.0, {"A": "b"})
    give_order(home, order)
    assert take_orders(home) == [order]
    assert take_orders(home) == []
