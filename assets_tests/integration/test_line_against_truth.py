"""The whole line by the command line, and its marts against the simulator's truth, exactly.

The oracle (``market_oracle``) recomputes every figure from the truth files in plain Python.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from installed_line import InstalledLine
from market_oracle import MEASURES, MarketOracle

EVENTS = 12_000
pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def line(
    broker_installed: None,
    clean_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    unused_port: int,
) -> InstalledLine:
    home = tmp_path_factory.mktemp("line")
    installed = InstalledLine.at(home, clean_environment, unused_port, ADX_DEMO_EVENTS=str(EVENTS))
    installed.run("demo")
    return installed


@pytest.fixture(scope="module")
def oracle(line: InstalledLine) -> MarketOracle:
    return MarketOracle(line.home / "simulation")


def test_hourly_campaign_marts_equal_the_truth(line: InstalledLine, oracle: MarketOracle) -> None:
    rows = line.rows("select * from marts.agg_campaign_hourly")
    found = {(r["campaign_id"], r["hour_start"]): _measures(r) for r in rows}
    expected = {(c, hour.isoformat()): sums for (c, hour), sums in oracle.hourly().items()}
    assert found == expected


def test_daily_campaign_marts_equal_the_truth(line: InstalledLine, oracle: MarketOracle) -> None:
    rows = line.rows("select * from marts.agg_campaign_daily")
    found = {(r["campaign_id"], r["local_date"]): _measures(r) for r in rows}
    expected = {(c, day.isoformat()): sums for (c, day), sums in oracle.daily().items()}
    assert found == expected


def test_the_market_is_not_trivial(oracle: MarketOracle) -> None:
    totals = {m: sum(sums[m] for sums in oracle.daily().values()) for m in MEASURES}
    assert all(totals[m] > 0 for m in MEASURES), totals
    assert totals["gross_impressions"] > totals["net_impressions"] > totals["viewable_impressions"]
    assert totals["gross_clicks"] > totals["net_clicks"] > 0
    assert {touch["touch_type"] for _, touch in oracle.attributed.values()} == {"click", "view"}


def test_last_touch_equals_the_truth(line: InstalledLine, oracle: MarketOracle) -> None:
    rows = line.rows(
        "select conversion_event_id, touch_event_id, touch_type, campaign_id "
        "from marts.fct_attribution where model = 'last_touch'"
    )
    found = {
        r["conversion_event_id"]: (r["touch_event_id"], r["touch_type"], r["campaign_id"])
        for r in rows
    }
    expected = {
        event_id: (touch["event_id"], touch["touch_type"], touch["campaign_id"])
        for event_id, (_, touch) in oracle.attributed.items()
    }
    assert len(rows) == len(found), "a conversion was attributed twice"
    assert found == expected


def test_every_message_has_the_expected_disposition(
    line: InstalledLine, oracle: MarketOracle
) -> None:
    """Counts of the authoritative dispositions per topic and partition, and of each reason."""
    rows = line.rows("select * from marts.conservation_offsets")
    assert all(r["is_conserved"] for r in rows)
    found = {
        (r["stream"], r["partition_id"]): tuple(
            r[d] for d in ("accepted", "rejected", "duplicate", "conflict")
        )
        for r in rows
    }
    counts: dict[tuple[str, int], dict[str, int]] = {}
    grouped = oracle.messages.group_by("topic", "partition", "expected_disposition").len()
    for topic, partition, disposition, count in grouped.iter_rows():
        counts.setdefault((topic, partition), {})[disposition] = count
    expected = {
        key: tuple(c.get(d, 0) for d in ("accepted", "rejected", "duplicate", "conflict"))
        for key, c in counts.items()
    }
    assert found == expected
    totals = [sum(column) for column in zip(*found.values(), strict=True)]
    assert all(total > 0 for total in totals), f"a disposition does not occur: {totals}"


def test_every_reject_has_the_expected_reason(line: InstalledLine, oracle: MarketOracle) -> None:
    done = line.adx("rejects", "ls", "--json", "--limit", str(EVENTS))
    assert done.returncode == 0, done.stderr
    found = {
        (r["stream"], r["partition"], r["offset"]): r["reason_code"]
        for r in json.loads(done.stdout)
    }
    rejected = oracle.messages.filter(oracle.messages["expected_disposition"] == "rejected")
    expected = {
        (topic, partition, sequence): reason
        for topic, partition, sequence, reason in rejected.select(
            "topic", "partition", "sequence", "expected_reason_code"
        ).iter_rows()
    }
    assert found == expected


def test_the_report_for_scripts_holds(line: InstalledLine, oracle: MarketOracle) -> None:
    done = line.adx("report", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["conservation_holds"] is True
    stages = {s["stream"]: s for s in report["stages"]}
    for topic, count in oracle.messages["topic"].value_counts().iter_rows():
        stage = stages[topic]
        assert stage["sent"] == stage["landed"] == stage["refined"] == stage["loaded"] == count
    late = oracle.messages.filter(
        oracle.messages["is_late"] & (oracle.messages["expected_disposition"] == "accepted")
    ).height
    assert 0 < late <= sum(s["late"] for s in stages.values())


def test_a_reject_shows_its_raw_bytes(line: InstalledLine) -> None:
    rejects = json.loads(line.adx("rejects", "ls", "--json", "--stream", "ad_impressions").stdout)
    where = rejects[0]
    shown = line.adx(
        "rejects", "show", where["stream"], str(where["partition"]), str(where["offset"])
    )
    assert shown.returncode == 0, shown.stderr
    assert where["reason_code"] in shown.stdout


def test_a_rerun_changes_nothing(line: InstalledLine) -> None:
    sql = "select * from marts.agg_campaign_hourly order by all"
    before = line.rows(sql)
    done = line.adx("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert line.rows(sql) == before


def test_another_market_in_the_same_home_is_refused(line: InstalledLine) -> None:
    done = line.adx("simulate", "--seed", "7", "--no-send")
    assert done.returncode == 1
    assert "make clean" in done.stderr


def _measures(row: dict[str, Any]) -> dict[str, int]:
    return {measure: int(row[measure]) for measure in MEASURES}
