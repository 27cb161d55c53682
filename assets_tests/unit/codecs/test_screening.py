"""What is no text is told apart from what is, wherever it stands in the column."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.codecs.screening import as_text, screen_texts

INVALID = b"caf\xe9"


@given(
    st.integers(0, 400),
    st.sets(st.integers(0, 399), max_size=6),
    st.sets(st.integers(0, 399), max_size=6),
)
def test_each_value_is_judged_on_its_own(length: int, invalid: set[int], absent: set[int]) -> None:
    values = [
        None if at in absent else INVALID if at in invalid else f"é{at}".encode()
        for at in range(length)
    ]

    texts = as_text(pl.Series("value", values, dtype=pl.Binary))

    expected = [None if at in absent or at in invalid else f"é{at}" for at in range(length)]
    assert texts.to_list() == expected
    assert (texts.name, texts.dtype) == ("value", pl.String)


def test_every_message_is_a_text_or_a_reject() -> None:
    values = pl.Series([b"a", None, b"", INVALID, b"12345"], dtype=pl.Binary)

    screened = screen_texts(values, max_bytes=4)

    assert screened.texts.rows() == [(0, "a")]
    assert {reject.row: reject.code.value for reject in screened.rejects} == {
        1: "tombstone",
        2: "empty_message",
        3: "invalid_encoding",
        4: "too_large",
    }
