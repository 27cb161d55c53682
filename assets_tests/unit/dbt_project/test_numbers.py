"""The arithmetic macros against exact arithmetic in Python."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

MACROS = Path(__file__).parents[3] / "dbt_project" / "macros" / "engine" / "numbers.sql"
BOUND = 10**15

amounts = st.integers(-BOUND + 1, BOUND - 1)
rates = st.integers(0, 10**6 * 10**8).map(lambda e8: Decimal(e8).scaleb(-8))
counts = st.integers(0, 2**60)


class _Adapter:
    """Dispatch to the macros of an engine, or else to the default ones, which are DuckDB's too."""

    def __init__(self, macros: dict[str, Callable[..., str]], engine: str) -> None:
        self.macros = macros
        self.engine = engine

    def dispatch(self, name: str, _project: str) -> Callable[..., str]:
        return self.macros.get(f"{self.engine}__{name}") or self.macros[f"default__{name}"]


@pytest.fixture(scope="module", params=["duckdb", "default"])
def macro(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Renders one of the project's macros to DuckDB SQL, its own way and the other engines'."""
    template = Environment(extensions=["jinja2.ext.do"]).from_string(
        MACROS.read_text(encoding="utf-8")
    )
    macros: dict[str, Callable[..., str]] = {}
    module = template.make_module(
        {"adapter": _Adapter(macros, request.param), "return": lambda text: text, "adx": macros}
    )
    macros.update({name: value for name, value in vars(module).items() if callable(value)})
    return lambda name, *arguments: str(macros[name](*arguments))


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def _half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@given(price=amounts, rate=rates)
def test_the_price_of_one_impression_is_exact(
    macro: Callable[..., str], connection: duckdb.DuckDBPyConnection, price: int, rate: Decimal
) -> None:
    sql = macro("price_of_one_micros", f"cast({price} as bigint)", f"{rate:.8f}")
    (found,) = connection.execute(f"select {sql}").fetchone() or (None,)
    exact = _half_up(price * rate / 1000)
    assert found == (exact if abs(exact) <= 9 * 10**18 else None)


@given(value=amounts, rate=rates)
def test_a_converted_value_is_exact(
    macro: Callable[..., str], connection: duckdb.DuckDBPyConnection, value: int, rate: Decimal
) -> None:
    sql = macro("convert_micros", f"cast({value} as bigint)", f"cast({rate:.8f} as decimal(18, 8))")
    (found,) = connection.execute(f"select {sql}").fetchone() or (None,)
    exact = _half_up(value * rate)
    assert found == (exact if abs(exact) <= 9 * 10**18 else None)


@given(numerator=st.integers(-(2**60), 2**60), denominator=counts, scale=st.sampled_from([1, 1000]))
def test_a_quotient_is_rounded_half_away_from_zero(
    macro: Callable[..., str],
    connection: duckdb.DuckDBPyConnection,
    numerator: int,
    denominator: int,
    scale: int,
) -> None:
    whole = abs(numerator) * scale
    expected = None
    if denominator:
        expected = (2 * whole + denominator) // (2 * denominator) * (1 if numerator >= 0 else -1)
    if expected is not None and abs(expected) >= 2**63:
        return
    sql = macro(
        "divide_half_up", f"cast({numerator} as bigint)", f"cast({denominator} as bigint)", scale
    )
    (found,) = connection.execute(f"select {sql}").fetchone() or (None,)
    assert found == expected


@pytest.mark.parametrize(
    ("amount", "why"),
    [("null", "no amount"), (str(BOUND), "too large"), (str(-BOUND), "too small")],
)
def test_what_cannot_be_said_is_null(
    macro: Callable[..., str], connection: duckdb.DuckDBPyConnection, amount: str, why: str
) -> None:
    sql = macro("convert_micros", f"cast({amount} as bigint)", "cast(1 as decimal(18, 8))")
    assert connection.execute(f"select {sql}").fetchone() == (None,), why
