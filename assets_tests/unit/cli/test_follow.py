"""Signals of the resident process: the first asks, the second ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.follow import Stopper, follow
from adx_platform.cli.ingest import ingest_once
from adx_platform.errors import AdxError
from adx_platform.settings import load_settings


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_the_first_signal_asks_to_stop_and_the_second_ends_at_once() -> None:
    codes: list[int] = []
    stopper = Stopper(end=codes.append)
    assert not stopper.is_overdue(0)
    stopper.on_signal(signal.SIGTERM, None)
    assert stopper.stop.is_set()
    assert codes == []
    assert not stopper.is_overdue(60)
    stopper.on_signal(signal.SIGTERM, None)
    assert codes == [128 + signal.SIGTERM]


def test_a_real_signal_ends_the_loop_in_its_own_time(
    no_adx_variables: None, tmp_path: Path
) -> None:
    finished: list[bool] = []

    def run(stop: threading.Event) -> None:
        signal.raise_signal(signal.SIGTERM)
        finished.append(stop.wait(10))

    follow(load_settings(home=tmp_path), run)
    assert finished == [True]


def test_what_the_loop_raises_is_raised(no_adx_variables: None, tmp_path: Path) -> None:
    def run(_: threading.Event) -> None:
        raise AdxError("the reference data cannot be read")

    with pytest.raises(AdxError, match="reference data"):
        follow(load_settings(home=tmp_path), run)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "adx ingest --follow"),
        ({"once": True, "follow": True}, "adx ingest --once"),
        ({"follow": True, "as_json": True}, "--json is for --once"),
        ({"follow": True, "stream": ["zz"]}, "no stream 'zz'"),
    ],
)
def test_wrong_usage_is_refused(flags: dict[str, object], message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        ingest_once(**flags)  # type: ignore[arg-type] # a table of cases
