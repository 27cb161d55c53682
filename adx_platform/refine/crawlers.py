"""Known crawlers by their patterns, fast over many user agents.

Belongs here: applying a list of regular expressions to a column. Does not belong here: the list
(reference data), or generic signs of a robot (``user_agents``).
"""

from __future__ import annotations

from functools import lru_cache

import polars as pl

_META = frozenset("^$.|?*+()[]{}")


@lru_cache(maxsize=4)
def _split(patterns: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """The patterns that are plain text, and one alternation of the others.

    Nearly all of 1,500 are plain text. Searched as such, all at once, they cost 8 microseconds a
    user agent; as regular expressions 300 to 500 (measured 2026-11).
    """
    texts = []
    expressions = []
    for pattern in patterns:
        text = _plain_text(pattern)
        if text:
            texts.append(text)
        else:
            expressions.append(f"(?:{pattern})")
    return tuple(texts), "|".join(expressions) or None


def _plain_text(pattern: str) -> str | None:
    """What the pattern matches if it matches one text only."""
    characters = []
    rest = iter(pattern)
    for character in rest:
        if character in _META:
            return None
        if character == "\\":
            escaped = next(rest, "")
            if not escaped or escaped.isalnum():
                return None
            characters.append(escaped)
        else:
            characters.append(character)
    return "".join(characters)


def known_crawlers(user_agents: pl.Series, patterns: tuple[str, ...]) -> pl.Series:
    """Which user agents match any of the patterns.

    Args:
        user_agents: String series without nulls.
        patterns: regular expressions, case-sensitive, without look-around.

    Returns:
        Boolean series.
    """
    texts, expression = _split(patterns)
    agent = pl.col("agent")
    found = [agent.str.contains_any(list(texts))] if texts else []
    if expression:
        found.append(agent.str.contains(expression))
    hits = pl.any_horizontal(*found) if found else pl.lit(value=False)
    return pl.DataFrame({"agent": user_agents}).with_columns(hits=hits)["hits"]
