"""The removal effect of a Markov chain, solved exactly.

Belongs here: the chain that paths make, and how much of its conversions touch a channel. Does not
belong here: dividing totals (``models``).

States are the last ``order`` channels of a path (fewer at its beginning; nothing at the start), and
two ends: converted, or not. Transition probabilities are counts over counts, of converting and
non-converting paths together. The removal effect of a channel is the part of the conversions that
is lost when every step to that channel ends in no conversion instead:

    effect(channel) = 1 - P(conversion without the channel) / P(conversion)

Published implementations simulate this; it is a linear system. With ``N = (I - Q)^-1`` of the
transient states, ``r`` the probabilities of converting at once and ``J`` the states whose newest
channel is the removed one, ``h = N[start, J] N[J, J]^-1`` is the distribution of the first visit to
``J``, so that ``h . (N r)[J]`` is the probability of a conversion that touches the channel: what
would be lost, without a difference of two nearly equal numbers. The same with ``r`` weighted by the
mean value of the conversions of each state gives the effect on value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from adx_platform.attribution.errors import AttributionError
from adx_platform.attribution.paths import Paths
from adx_platform.attribution.rules import Credits

MAX_STATES = 3_000
"""More states would need a matrix of more than 72 MB, and minutes."""

State: TypeAlias = tuple[str, ...]

_START: State = ()
# The last bits of linear algebra differ between machines; they must decide no tie.
_PLACES = 12


@dataclass(frozen=True, slots=True)
class Chain:
    """How often paths go from state to state, and how they end; counts and values in micros."""

    steps: Mapping[State, Mapping[State, int]]
    converted: Mapping[State, int]
    value: Mapping[State, int]
    lost: Mapping[State, int]

    @property
    def states(self) -> list[State]:
        """Every state but the two ends, the start first."""
        ends = set(self.converted) | set(self.lost)
        return sorted({_START, *self.steps, *ends}, key=lambda state: (len(state), state))


@dataclass(frozen=True, slots=True)
class RemovalEffects:
    """What is lost without each channel, 0 to 1; not normalised."""

    conversions: dict[str, float]
    value: dict[str, float]


def chain_of(paths: Paths, order: int) -> Chain:
    """Count the steps of all paths.

    Args:
        paths: converting and non-converting.
        order: how many channels a state remembers, 1 or more.

    Raises:
        AttributionError: there are more than :data:`MAX_STATES` states.
    """
    steps: dict[State, dict[State, int]] = defaultdict(lambda: defaultdict(int))
    converted: dict[State, int] = defaultdict(int)
    value: dict[State, int] = defaultdict(int)
    lost: dict[State, int] = defaultdict(int)
    states = {_START}
    for path, conversions, worth, nulls in paths.distinct().iter_rows():
        if not conversions + nulls:
            continue
        state = _START
        for channel in path:
            following = (*state, channel)[-order:]
            steps[state][following] += conversions + nulls
            state = following
            states.add(state)
        converted[state] += conversions
        value[state] += worth
        lost[state] += nulls
        if len(states) > MAX_STATES:
            raise AttributionError(
                f"a Markov chain of order {order} has more than {MAX_STATES:,} states here: take a "
                "lower --order, or merge rare channels"
            )
    return Chain(steps, converted, value, lost)


def removal_effects(chain: Chain) -> RemovalEffects:
    """The effect of removing each channel, on conversions and on value."""
    states = chain.states
    place = {state: number for number, state in enumerate(states)}
    transient = np.eye(len(states))
    ends = np.zeros((len(states), 2))
    for state, row in place.items():
        onward = chain.steps.get(state, {})
        converted = chain.converted.get(state, 0)
        leaving = sum(onward.values()) + converted + chain.lost.get(state, 0)
        for following, count in onward.items():
            transient[row, place[following]] -= count / leaving
        ends[row] = converted / leaving, chain.value.get(state, 0) / leaving
    # Every state was left by some path towards an end, so the matrix is never singular.
    visits = np.linalg.inv(transient)
    expected = visits @ ends
    start = place[_START]
    effects: dict[str, npt.NDArray[np.float64]] = {}
    for channel in sorted({state[-1] for state in states if state}):
        of_channel = [place[state] for state in states if state and state[-1] == channel]
        among = visits[np.ix_(of_channel, of_channel)]
        first_visit = np.linalg.solve(among.T, visits[start, of_channel])
        lost = first_visit @ expected[of_channel]
        with np.errstate(invalid="ignore"):
            effects[channel] = np.nan_to_num(lost / expected[start])
    return RemovalEffects(
        {channel: float(effect[0]) for channel, effect in effects.items()},
        {channel: float(effect[1]) for channel, effect in effects.items()},
    )


def markov(paths: Paths, column: str, *, order: int) -> Credits:
    """Removal effects as weights: a channel's credit is its effect over the sum of all effects.

    Args:
        paths: converting and non-converting.
        column: ``conversions_micros`` or ``value_micros``.
        order: how many channels a state remembers.
    """
    effects = removal_effects(chain_of(paths, order))
    chosen = effects.conversions if column == "conversions_micros" else effects.value
    return {
        channel: Fraction(round(chosen.get(channel, 0.0) * 10**_PLACES), 10**_PLACES)
        for channel in paths.channels
    }
