"""A licensed pair of lists: the user agents that count as browsers, and those of robots.

Belongs here: applying such lists to a column. Does not belong here: their file format
(``reference.iab_lists``), or our own signs of a robot (``user_agents``).

The industry's lists are meant for two passes: an agent counts as a person's if it is on the list of
browsers, and then is not on the list of robots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl


@dataclass(frozen=True, slots=True)
class ListedAgent:
    """One entry: a text that user agents contain, whatever the case.

    Attributes:
        text: in lower case.
        at_start: the agent must begin with it.
        exceptions: in lower case; an agent that contains one of them is not meant.
    """

    text: str
    at_start: bool = False
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentLists:
    """Both lists; an empty one says nothing."""

    browsers: tuple[ListedAgent, ...] = ()
    robots: tuple[ListedAgent, ...] = ()


def listed(user_agents: pl.Series, entries: Sequence[ListedAgent]) -> pl.Series:
    """Which user agents an entry of the list means.

    Args:
        user_agents: String series without nulls.
        entries: of one list.

    Returns:
        Boolean series.
    """
    agent = pl.col("agent")
    # Those without conditions are searched all at once; of the others there are few.
    plain = [entry.text for entry in entries if not entry.at_start and not entry.exceptions]
    hits = [_meant(agent, entry) for entry in entries if entry.at_start or entry.exceptions]
    if plain:
        hits.append(agent.str.contains_any(plain))
    found = reduce(or_, hits, pl.lit(value=False))
    lowered = user_agents.str.to_lowercase()
    return pl.DataFrame({"agent": lowered}).with_columns(hits=found)["hits"]


def _meant(agent: pl.Expr, entry: ListedAgent) -> pl.Expr:
    has = (
        agent.str.starts_with(entry.text)
        if entry.at_start
        else agent.str.contains(entry.text, literal=True)
    )
    if not entry.exceptions:
        return has
    return has & ~agent.str.contains_any(list(entry.exceptions))
