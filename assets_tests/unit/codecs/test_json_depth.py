"""Nesting is counted outside of strings, as a scan of the text would count it."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.codecs.json_depth import MAX_DEPTH, depth, too_deep


def scanned_depth(text: str) -> int:
    """The rule, character by character."""
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


@given(st.text(alphabet='[]{}"\\a\n', max_size=60))
def test_the_depth_is_that_of_a_scan(text: str) -> None:
    assert depth(text) == scanned_depth(text)


def test_only_deep_texts_are_marked() -> None:
    wide = "[" + "[]," * 200 + "[]]"
    texts = pl.Series([None, "", "[" * MAX_DEPTH, "[" * (MAX_DEPTH + 1), wide, '"' + "[" * 99])
    assert too_deep(texts).to_list() == [False, False, False, True, False, False]
