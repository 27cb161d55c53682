"""Text in the contract's form: whole columns at once say what is true of each text."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.refine import text

_TEXTS = st.lists(st.none() | st.text(" \t\r\n\u00a0aZ0-{}", max_size=12), min_size=1)


def _of(rule: pl.Expr, *values: str | None) -> list[str | None]:
    return (
        pl.DataFrame({"text": pl.Series(values, dtype=pl.String)})
        .select(rule)
        .to_series()
        .to_list()
    )


@given(_TEXTS)
def test_trimmed_text_is_never_empty(values: list[str | None]) -> None:
    expected = [value.strip() or None if value is not None else None for value in values]
    assert _of(text.trimmed("text"), *values) == expected


@given(_TEXTS)
def test_case_follows_trimming(values: list[str | None]) -> None:
    expected = [value.strip() or None if value is not None else None for value in values]
    lowered = [value and value.lower() for value in expected]
    assert _of(text.lowered("text"), *values) == lowered
    assert _of(text.raised("text"), *values) == [value and value.upper() for value in expected]


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        (" Smart TV ", "ctv"),
        ("PHONE", "mobile"),
        ("toaster", "other"),
        ("other", "other"),
        ("  ", None),
        ("", None),
        (None, None),
    ],
)
def test_device_type_is_one_of_the_contracts(sent: str | None, known: str | None) -> None:
    assert _of(text.device_type("text"), sent, "tablet") == [known, "tablet"]


@pytest.mark.parametrize(
    ("sent", "form"),
    [
        (" 6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        ("{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "{6f9619ff-8b86-d011-b42d-00cf4fc964ff}"),
        ("6F9619FF8B86D011B42D00CF4FC964FF", "6f9619ff8b86d011b42d00cf4fc964ff"),
        ("00000000-0000-0000-0000-000000000000", None),
        ("0", None),
        ("User-7", "User-7"),
        (" ", None),
        (None, None),
    ],
)
def test_user_id_has_one_form(sent: str | None, form: str | None) -> None:
    assert _of(text.user_id("text"), sent, "a") == [form, "a"]


@given(_TEXTS)
def test_user_id_in_its_form_stays(values: list[str | None]) -> None:
    once = _of(text.user_id("text"), *values)
    assert _of(text.user_id("text"), *once) == once
