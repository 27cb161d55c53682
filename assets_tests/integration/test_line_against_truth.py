"""The whole line by the command line, and its marts against the simulator's truth, exactly.

The oracle (``market_oracle``) recomputes every figure from the truth files in plain Python.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.lake.reading import events_snapshot
from adx_platform.lake.storage import LakeStorage
from assets_tests.integration.installed_line import InstalledLine
from assets_tests.integration.market_oracle import MEASURES, MarketOracle
from assets_tests.lines import DEMO_EVENTS

GUIDE = Path(__file__).parents[2] / "docs/guides/questions.md"
QUESTIONS = dict(
    re.findall(
        r"^## \d+\. ([^\n]+)\n.*?^```sql\n(.*?)^```",
        GUIDE.read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
)
pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def line(demo_line: InstalledLine) -> InstalledLine:
    return demo_line


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
    done = line.adx("rejects", "ls", "--json", "--limit", str(DEMO_EVENTS))
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


def test_the_guide_asks_ten_questions() -> None:
    assert len(QUESTIONS) == 10
    assert GUIDE.read_text(encoding="utf-8").count("```sql") == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_of_the_guide_has_an_answer(line: InstalledLine, question: str) -> None:
    rows = line.rows(QUESTIONS[question])
    assert rows
    # A column that is null in every row would answer nothing.
    assert all(any(row[name] is not None for row in rows) for name in rows[0])


def test_the_answers_of_the_guide_are_those_of_the_truth(
    line: InstalledLine, oracle: MarketOracle
) -> None:
    daily = oracle.daily().values()
    totals = {m: sum(sums[m] for sums in daily) for m in MEASURES}
    paced, creatives, exchanges, publishers, costs, reasons, landscape, led, seen, trust = (
        line.rows(sql.replace("limit 20", "")) for sql in QUESTIONS.values()
    )
    spend = totals["spend_micros"] / 1e6
    assert sum(row["spent"] for row in paced) == pytest.approx(spend)
    assert sum(row["spend"] for row in costs) == pytest.approx(spend)
    net = totals["net_impressions"]
    assert sum(row["net_impressions"] for row in creatives) == net
    assert sum(row["net_clicks"] for row in creatives) == totals["net_clicks"]
    assert sum(row["gross_impressions"] for row in publishers) == totals["gross_impressions"]
    # The oracle knows the listed alone; what is invalid by its behaviour comes off as well.
    filtered = [row["givt_filtered_impressions"] for row in publishers]
    assert sum(filtered) <= net < totals["gross_impressions"]
    assert all(
        row["net_impressions"] <= row["givt_filtered_impressions"] <= row["gross_impressions"]
        for row in publishers
    )
    # Won at an exchange is also what was billed without a win notice; an auction needs its request.
    won = sum(
        not parts.keys().isdisjoint({"win", "billing"}) for parts in oracle.impressions.values()
    )
    assert 0.95 * won < sum(row["wins"] for row in exchanges) <= won
    bids = sum(row["bids"] for row in exchanges)
    assert sum(row["bids"] for row in landscape) == bids
    lost = sum(row["auctions"] for row in reasons if row["kind"] == "loss")
    assert 0 < lost <= bids - sum(row["wins"] for row in exchanges)
    unbid = sum(row["auctions"] for row in reasons if row["kind"] == "no_bid")
    unanswered = sum(row["auctions"] for row in reasons if row["kind"] == "no_response")
    assert bids + unbid + unanswered == sum(row["offered"] for row in exchanges)
    assert sum(row["conversions"] for row in led) == totals["conversions"]
    assert 0 < sum(row["people_days"] for row in seen) < net
    assert sum(row["messages"] for row in trust) == oracle.messages.height
    assert all(row["is_conserved"] for row in trust)


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


def test_a_changed_rule_restates_exactly_its_range(line: InstalledLine) -> None:
    """Last in this module, because it changes the line: the future bound is lifted for one range.

    What was rejected as in the future there is accepted afterwards, in the lake and in the marts;
    every other row stays as it was, and conservation holds.
    """
    stream = STREAMS["bid_requests"]
    before = _lake_rows(line, stream)
    in_future = before.filter(pl.col("reason_code") == "event_in_future")
    partition = int(in_future["partition"][0])
    mine = before.filter(pl.col("partition") == partition)
    # Half of the partition: restated and untouched rows stand side by side in the same files.
    start, end = 0, (mine.height + 1) // 2
    in_range = (pl.col("partition") == partition) & pl.col("offset").is_between(start, end - 1)
    expected = in_future.filter(in_range)
    assert 0 < expected.height < in_future.height, "the range must have some of them, not all"
    auctions_before = line.rows("select * from marts.fct_auctions order by all")
    conservation_before = line.rows("select * from marts.conservation_offsets order by all")

    lifted = {**line.environment, "ADX_REFINE__FUTURE_TOLERANCE": "P365D"}
    changed_contract = InstalledLine(line.home, lifted)
    changed_contract.run(
        "reprocess", "--stream", stream.name, "--partition", str(partition),
        "--start", str(start), "--end", str(end), "--reason", "the future bound was wrong",
    )  # fmt: skip
    after = _lake_rows(line, stream)
    assert after.filter(~in_range).equals(before.filter(~in_range)), "rows outside were touched"
    restated = after.filter(in_range)
    assert set(restated["revision"]) == {1}
    # Duplicate marks depend on the batch: a winner in the other partition of the lane is not in it.
    # The marts decide over all rows, and must not change for it.
    unmarked = before.filter(in_range, ~pl.col("disposition").is_in(["duplicate", "conflict"]))
    judged_otherwise = restated.join(unmarked, on=["partition", "offset"], how="semi").join(
        unmarked, on=["partition", "offset", "disposition"], how="anti"
    )
    assert set(judged_otherwise["offset"]) == set(expected["offset"])
    assert set(judged_otherwise["disposition"]) == {"accepted"}

    line.run("build")
    counts = {(r["stream"], r["partition_id"]): r for r in conservation_before}
    for row in line.rows("select * from marts.conservation_offsets"):
        was = counts[row["stream"], row["partition_id"]]
        is_its = (row["stream"], row["partition_id"]) == (stream.name, partition)
        moved = expected.height if is_its else 0
        assert row["is_conserved"]
        assert row["accepted"] == was["accepted"] + moved
        assert row["rejected"] == was["rejected"] - moved
    touched = set(judged_otherwise.select("exchange_id", "request_id").iter_rows())
    auctions_after = line.rows("select * from marts.fct_auctions order by all")

    def others(rows: list[dict[str, Any]]) -> list[str]:
        # load_id names the newest load behind a row: it moves for whatever the restatement rewrote.
        kept = [r for r in rows if (r["exchange_id"], r["request_id"]) not in touched]
        return [json.dumps(r | {"load_id": None}, sort_keys=True) for r in kept]

    def theirs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [r for r in rows if (r["exchange_id"], r["request_id"]) in touched]

    assert others(auctions_after) == others(auctions_before)
    assert theirs(auctions_after) != theirs(auctions_before)


def _lake_rows(line: InstalledLine, stream: Stream) -> pl.DataFrame:
    snapshot = events_snapshot(
        LakeStorage.at(str(line.home / "lake")), stream.topic, stream.events_schema
    )
    assert snapshot is not None
    return snapshot.scan().sort("partition", "offset").collect()
