"""Removal effects are those of the chain, worked out by hand and by another exact method."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.attribution import markov as module
from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.markov import Chain, State, chain_of, markov, removal_effects

ROWS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=5).map(" > ".join),
        st.integers(1, 9),
        st.integers(0, 50),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=8,
)


def expected_end(chain: Chain, ends: Mapping[State, int], removed: str | None) -> Fraction:
    """Expected amount at the end, steps to ``removed`` lost: elimination in exact fractions."""
    states = [s for s in chain.states if not s or s[-1] != removed]
    rows: dict[State, dict[State, Fraction]] = {}
    known: dict[State, Fraction] = {}
    for state in states:
        onward = chain.steps.get(state, {})
        counts = chain.converted.get(state, 0) + chain.lost.get(state, 0)
        leaving = sum(onward.values()) + counts
        rows[state] = {to: Fraction(n, leaving) for to, n in onward.items() if to in set(states)}
        known[state] = Fraction(ends.get(state, 0), leaving)
    # x[s] = known[s] + sum p x[to]: substitute every state but the start, last first.
    for state in reversed(states[1:]):
        stay = rows[state].pop(state, Fraction(0))
        scale = 1 / (1 - stay)
        rows[state] = {to: p * scale for to, p in rows[state].items()}
        known[state] *= scale
        for other in states[: states.index(state)]:
            share = rows[other].pop(state, Fraction(0))
            known[other] += share * known[state]
            for to, p in rows[state].items():
                rows[other][to] = rows[other].get(to, Fraction(0)) + share * p
    return known[()] / (1 - rows[()].get((), Fraction(0)))


def effect_by_elimination(chain: Chain, ends: Mapping[State, int], channel: str) -> Fraction:
    whole = expected_end(chain, ends, None)
    return 1 - expected_end(chain, ends, channel) / whole if whole else Fraction(0)


def test_a_chain_worked_out_by_hand(paths_of: Any) -> None:
    # Published by S. Bryl' ("Marketing Multi-Channel Attribution model with R", part 1) and worked
    # out again: P = 2/3 1/2 1/2 + 1/3 1/2 = 1/3; without C1 it is 1/6, without C2 or C3 nothing.
    paths = paths_of(("C1 > C2 > C3", 1), ("C1", 0, 0, 1), ("C2 > C3", 0, 0, 1))
    effects = removal_effects(chain_of(paths, 1)).conversions
    assert effects == pytest.approx({"C1": 1 / 2, "C2": 1, "C3": 1}, abs=1e-12)
    credit = markov(paths, "conversions_micros", order=1)
    assert credit == {"C1": Fraction(1, 2), "C2": Fraction(1), "C3": Fraction(1)}


def test_loops_are_walked_for_ever(paths_of: Any) -> None:
    # The introduction of ChannelAttribution, whose simulation comes near 2 and 1 (pychattr prints
    # 1.991 and 1.009). Steps from A: 3 to B, 2 to itself, 3 to the end; B always comes back to A.
    # Without B a path ends well with 3 of 6: the effects are 1 and 1/2.
    paths = paths_of(("A > B > A > B > B > A", 1), ("A > B > B > A > A", 1), ("A > A", 1))
    effects = removal_effects(chain_of(paths, 1)).conversions
    assert effects == pytest.approx({"A": 1, "B": 0.5}, abs=1e-12)


def test_the_counts_of_a_published_chain(paths_of: Any) -> None:
    # S. Puzyrov, "Markov chain attribution, simple explanation of removal effect": from google ads
    # 2/4 convert, 1/4 go on to mailing, 1/4 are lost; P = 4/5; effects 3/4 and 1/2.
    paths = paths_of(("google", 2, 0, 1), ("mailing", 1), ("google > mailing", 1))
    chain = chain_of(paths, 1)
    assert chain.steps[("google",)] == {("mailing",): 1_000_000}
    assert chain.converted[("mailing",)] == 2_000_000
    assert chain.lost[("google",)] == 1_000_000
    assert removal_effects(chain).conversions == pytest.approx({"google": 3 / 4, "mailing": 1 / 2})


def test_value_is_the_mean_of_the_state_that_converted(paths_of: Any) -> None:
    # Half of the paths start at a, half at b; each converts at once, worth 30 and 10.
    paths = paths_of(("a", 1, 30), ("b", 1, 10))
    effects = removal_effects(chain_of(paths, 1))
    assert effects.conversions == pytest.approx({"a": 1 / 2, "b": 1 / 2})
    assert effects.value == pytest.approx({"a": 3 / 4, "b": 1 / 4})


def test_no_value_has_no_effects(paths_of: Any) -> None:
    assert removal_effects(chain_of(paths_of(("a", 1), ("b", 1)), 1)).value == {"a": 0, "b": 0}


def test_a_second_order_remembers_two_channels(paths_of: Any) -> None:
    # a > c always converts and b > c never; the first order cannot tell c after a from c after b.
    paths = paths_of(("a > c", 1), ("b > c", 0, 0, 1))
    first = removal_effects(chain_of(paths, 1)).conversions
    second = removal_effects(chain_of(paths, 2)).conversions
    assert first == pytest.approx({"a": 1 / 2, "b": 1 / 2, "c": 1})
    assert second == pytest.approx({"a": 1, "b": 0, "c": 1})
    assert chain_of(paths, 2).states == [(), ("a",), ("b",), ("a", "c"), ("b", "c")]


def test_repeats_of_a_channel_do_not_matter_to_the_first_order(paths_of: Any) -> None:
    once = paths_of(("a > b > c", 2, 0, 1), ("b", 1, 0, 4))
    often = paths_of(("a > b > b > b > c > c", 2, 0, 1), ("b > b", 1, 0, 4))
    # The counts of the steps differ, where they go in the end does not.
    assert removal_effects(chain_of(once, 1)).conversions == pytest.approx(
        removal_effects(chain_of(often, 1)).conversions
    )


def test_a_channel_of_lost_paths_alone_earns_nothing(paths_of: Any) -> None:
    paths = paths_of(("a", 1), ("b", 0, 0, 5), ("c", 0))
    assert markov(paths, "conversions_micros", order=1) == {"a": 1, "b": 0, "c": 0}


def test_too_many_states_are_refused(paths_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STATES", 4)
    paths = paths_of(("a > b > c", 1), ("c > a", 1))
    assert len(chain_of(paths, 1).states) == 4
    with pytest.raises(AttributionError, match="order 2 has more than 4 states here"):
        chain_of(paths, 2)


@given(rows=ROWS, order=st.integers(1, 3))
def test_the_effects_are_those_of_elimination_in_fractions(
    paths_of: Any, rows: list[tuple[str, int, int, int]], order: int
) -> None:
    chain = chain_of(paths_of(*rows), order)
    effects = removal_effects(chain)
    for channel in effects.conversions:
        by_conversions = effect_by_elimination(chain, chain.converted, channel)
        assert effects.conversions[channel] == pytest.approx(float(by_conversions), abs=1e-9)
        by_value = effect_by_elimination(chain, chain.value, channel)
        assert effects.value[channel] == pytest.approx(float(by_value), abs=1e-9)


@given(rows=ROWS)
def test_an_effect_is_a_share_and_all_is_lost_without_the_first_of_all_channels(
    paths_of: Any, rows: list[tuple[str, int, int, int]]
) -> None:
    through_a_gate = [(f"gate > {path}", *counts) for path, *counts in rows]
    effects = removal_effects(chain_of(paths_of(*through_a_gate), 1)).conversions
    assert all(-1e-9 <= effect <= 1 + 1e-9 for effect in effects.values())
    assert effects["gate"] == pytest.approx(1)
