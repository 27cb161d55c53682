"""How deep JSON texts are nested, found without parsing them.

Belongs here: the bound and its measure. Does not belong here: whether a text is JSON.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import polars as pl

MAX_DEPTH: Final = 64
"""Deeper nesting is rejected: no contract needs it, and every recursive reader fears it."""

# Possessive: an attacker's text must not make it go back.
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\(?:.|\Z))*+"?', re.DOTALL)
_STEPS: Final = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1


def too_deep(texts: pl.Series) -> pl.Series:
    """Which of the texts are nested deeper than ``MAX_DEPTH``.

    Args:
        texts: String; a null is not deep.

    Returns:
        Boolean, aligned with ``texts``.
    """
    # Few openers cannot be deep, and few texts have many.
    many = (texts.str.count_matches(r"[\[{]") > MAX_DEPTH).fill_null(value=False)
    at = many.arg_true()
    deep = pl.Series([depth(text) > MAX_DEPTH for text in texts.gather(at)], dtype=pl.Boolean)
    return many.scatter(at, deep) if len(at) else many


def depth(text: str) -> int:
    """Greatest nesting outside of strings, without recursion; an open string hides the rest."""
    outside = _STRING.sub("", text).encode(errors="replace")
    levels = np.cumsum(_STEPS[np.frombuffer(outside, np.uint8)], dtype=np.int64)
    return int(levels.max(initial=0))
