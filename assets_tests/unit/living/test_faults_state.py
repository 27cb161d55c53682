from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from adx_platform.errors import AdxError
from adx_platform.living.faults_state import lose_rates, rot_rates, tear_file
from adx_platform.reference.files import ReferenceDataError, load_reference
from adx_platform.settings import Settings
from adx_platform.simulate.live_reference import LiveReference, mend_rates
from adx_platform.simulate.live_traffic import LiveConfig, build_world

NEWEST = date(2026, 3, 20)


def test_the_newest_active_file_is_torn(small_line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adx_platform.living.faults_state._SMALLEST_TORN", 100)
    with pytest.raises(AdxError, match="nothing of ad_impressions was refined yet"):
        tear_file(small_line.settings, "ad_impressions")
    small_line.ingest("ad_impressions", 0, [b"{", b"["])
    first = tear_file(small_line.settings, "ad_impressions")
    path = small_line.settings.home / "lake" / "events" / "ad_impressions" / first
    torn = path.read_bytes()
    assert torn[:4] == b"PAR1"
    assert torn[-4:] != b"PAR1"


def test_a_lake_of_small_files_is_left_alone(
    small_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_line.ingest("ad_impressions", 0, [b"{"])
    monkeypatch.setattr("adx_platform.living.faults_state._SMALLEST_TORN", 10**9)
    with pytest.raises(AdxError, match="no file of ad_impressions has 1000000000 bytes"):
        tear_file(small_line.settings, "ad_impressions")


def make_rates(settings: Settings, days: int) -> None:
    settings.duckdb_path.parent.mkdir(parents=True)
    with duckdb.connect(str(settings.duckdb_path)) as connection:
        connection.execute("create schema reference")
        connection.execute("create table reference.fx_rates (rate_date date, rate double)")
        for back in range(days):
            connection.execute(
                "insert into reference.fx_rates values ($day, 1.0)",
                {"day": NEWEST - timedelta(days=back)},
            )


def test_the_rates_that_events_need_now_are_lost(home: Settings) -> None:
    make_rates(home, 30)
    assert lose_rates(home) == date(2026, 3, 15)
    with duckdb.connect(str(home.duckdb_path)) as connection:
        left = connection.execute("select max(rate_date) from reference.fx_rates").fetchone()
    assert left == (date(2026, 3, 14),)


def test_a_warehouse_without_rates_has_none_to_lose(home: Settings) -> None:
    make_rates(home, 0)
    with pytest.raises(AdxError, match="has no exchange rates to lose"):
        lose_rates(home)


def test_a_locked_warehouse_is_tried_again_for_a_while(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    waited: list[float] = []

    def locked(path: object) -> None:
        raise duckdb.IOException("Could not set lock on file")

    monkeypatch.setattr("adx_platform.living.faults_state._delete_rates", locked)
    with pytest.raises(AdxError, match="stayed locked for 5 s"):
        lose_rates(home, seconds=5, clock=lambda: next(clock), sleep=waited.append)
    assert len(waited) == 4


@pytest.fixture
def reference(home: Settings) -> Callable[[int], None]:
    """Keeps the reference folder up to a day of the simulated time."""
    config = LiveConfig(per_hour=10)
    keeper = LiveReference(build_world(config.market), home.reference_dir)
    return lambda day: keeper.keep_up(config.start + timedelta(days=day))


def test_the_rates_reach_some_days_ahead_and_are_valid(
    home: Settings, reference: Callable[[int], None]
) -> None:
    for day in (0, 1, 5):
        reference(day)
        rates = load_reference(home.reference_dir).tables["fx_rates"]
        assert rates["rate_date"].max() == date(2026, 3, 2) + timedelta(days=day + 3)
    assert not list(home.reference_dir.glob(".*"))


def test_files_of_a_user_are_kept(home: Settings, reference: Callable[[int], None]) -> None:
    reference(0)
    own = home.reference_dir / "campaigns.csv"
    own.write_text(own.read_text() + "\n", newline="")
    before = own.read_bytes()
    reference(1)
    assert own.read_bytes() == before


def test_rotten_rates_stay_rotten_until_they_are_mended(
    home: Settings, reference: Callable[[int], None]
) -> None:
    reference(0)
    rot_rates(home)
    reference(1)
    reference(2)
    with pytest.raises(ReferenceDataError, match=r"fx_rates\.csv"):
        load_reference(home.reference_dir)
    mend_rates(home.reference_dir)
    reference(2)
    rates = load_reference(home.reference_dir).tables["fx_rates"]
    assert rates["rate_date"].max() == date(2026, 3, 7)
