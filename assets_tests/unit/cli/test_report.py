"""`adx report` on a small real lake and a snapshot made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

MIXED = [
    {
        "stream": "ad_impressions",
        "accepted": 2, "rejected": 1, "duplicate": 1, "conflict": 1, "absent": 3,
    },
    {"stream": "ad_impressions", "partition_id": 1, "rejected": 1},
]  # fmt: skip
CAMPAIGNS = """
insert into marts.agg_campaign_daily values
    ('c-1', 'EUR', 1000, 900, 500, 90, 10, 9, 4500000, 9000000), ('c-2', 'USD', 5, 0, 0, 0, 0, 0, 0, 0);
insert into marts.dim_campaigns values ('c-1', 'Summer [/red]', 'a-1', true);
insert into marts.fct_conversions values ('x-1', 'a-1');
"""  # noqa: E501 - one campaign per line


@pytest.fixture
def line(mixed_line: Any) -> Any:
    mixed_line.publish(MIXED, sql=CAMPAIGNS)
    return mixed_line


@pytest.mark.usefixtures("line")
def test_a_line_that_conserves(adx: Any) -> None:
    done = adx("report")
    assert done.code == 0
    rows = {
        cells[0].strip(): [cell.strip() for cell in cells[1:]]
        for cells in (r.split("│")[1:-1] for r in done.stdout.splitlines() if r.startswith("│"))
    }
    assert rows["landed"] == ["0", "6", "0", "6"]
    assert rows["unique"] == ["0", "2", "0", "2"]
    assert rows["absent offsets"] == ["0", "3", "0", "3"]
    assert rows["sent"] == ["-", "-", "-", "-"]
    assert rows["not attributed"] == ["1", "1", "-"]
    assert "Conservation holds" in done.stdout
    assert "Summer [/red]" in done.stdout
    assert "10.00%" in done.stdout
    assert "…" not in done.stdout, "a cell is cut at 100 columns"


@pytest.mark.usefixtures("line")
def test_as_many_campaigns_as_asked_for(adx: Any) -> None:
    done = adx("report", "--top", "1")
    assert "1 of 2" in done.stdout
    assert "c-2" not in done.stdout


@pytest.mark.usefixtures("line")
def test_the_json_has_everything_under_stable_names(adx: Any) -> None:
    found = adx("report", "--json").json
    assert found.keys() == {
        "stages", "conservation", "campaigns", "attribution", "conservation_holds",
    }  # fmt: skip
    assert found["conservation_holds"] is True
    assert found["conservation"] == {"equations": 6, "broken": []}
    stages = {stage["stream"]: stage for stage in found["stages"]}
    assert stages.keys() == {"bid_requests", "ad_impressions", "clicks_conversions"}
    assert stages["ad_impressions"] == {
        "stream": "ad_impressions", "sent": None, "landed": 6, "refined": 6, "loaded": 6,
        "accepted": 2, "rejected": 2, "duplicates": 1, "conflicts": 1, "late": 1, "absent": 3,
        "lost": 0, "reasons": {"invalid_encoding": 1, "tombstone": 1},
        "newest_event_time": "2026-03-02T12:00:00+00:00",
        "newest_message_time": "2026-03-02T12:00:00+00:00",
    }  # fmt: skip
    assert [campaign["campaign_id"] for campaign in found["campaigns"]] == ["c-1", "c-2"]
    assert found["attribution"] == [
        {"touch": "not attributed", "conversions": 1, "advertisers": 1, "median_hours": None}
    ]


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_row_that_vanished_from_the_lake_shows(adx: Any, line: Any, option: list[str]) -> None:
    DeltaTable(f"{line.settings.lake_uri}/events/ad_impressions").delete(
        "partition = 0 and offset = 5"
    )
    done = adx("report", *option)
    assert done.code == 1
    assert "events/ad_impressions partition 0 of topic-a" in done.stdout
    assert "1 missing, the first at offset 5" in done.stdout
    if option:
        assert done.json["conservation_holds"] is False
    else:
        assert "Conservation is broken (6 equations)" in done.stdout


def test_marts_that_lost_rows_show(adx: Any, mixed_line: Any) -> None:
    mixed_line.publish([{**MIXED[0], "committed_offsets": 9}, MIXED[1]])
    done = adx("report")
    assert done.code == 1
    assert (
        "marts/ad_impressions partition 0 of topic-a: 9 offsets committed, 1 not accounted for, "
        "0 repeated" in done.stdout
    )


def test_nothing_counted_proves_nothing(adx: Any, small_line: Any) -> None:
    small_line.publish()
    done = adx("report")
    assert done.code == 1
    assert "Conservation is broken" not in done.stdout
    assert "there is nothing to count yet" in done.stdout


@pytest.mark.usefixtures("mixed_line")
def test_before_the_first_build_it_says_what_to_run(adx: Any) -> None:
    done = adx("report")
    assert done.code == 1
    assert "nothing was published" in done.stderr
    assert "adx demo" in done.stderr


@pytest.fixture
def reported(mixed_line: Any, report_tables: str) -> Any:
    arrivals = "insert into marts.agg_arrivals_hourly values ('2026-03-02', 'bid_requests', 1, 0);"
    mixed_line.publish(MIXED, sql=report_tables + arrivals)
    return mixed_line


def test_one_html_file_where_dagster_writes_it_too(adx: Any, reported: Any) -> None:
    done = adx("report", "--html")
    assert done.code == 0
    path = reported.settings.report_path
    assert done.stdout.startswith(str(path))
    assert "<title>Campaign report, 2 Mar 2026</title>" in path.read_text(encoding="utf-8")


@pytest.mark.usefixtures("reported")
def test_one_html_file_where_it_is_asked_for(adx: Any, tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.html"
    assert adx("report", "--html", str(path)).code == 0
    assert "These figures can be trusted" in path.read_text(encoding="utf-8")


def test_an_html_file_of_a_broken_line_is_written_and_fails(
    adx: Any, mixed_line: Any, report_tables: str, tmp_path: Path
) -> None:
    mixed_line.publish([{**MIXED[0], "committed_offsets": 9}, MIXED[1]], sql=report_tables)
    path = tmp_path / "out.html"
    assert adx("report", "--html", str(path)).code == 1
    assert "Do not rely on these figures" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--html", "--json"], "choose one of --json and --html"),
        (["out.html"], "adx report --html out.html"),
        (["--html", "."], "is a folder: name a file in it"),
    ],
)
@pytest.mark.usefixtures("reported")
def test_what_cannot_be_written_is_said(adx: Any, arguments: list[str], said: str) -> None:
    done = adx("report", *arguments)
    assert done.code != 0
    assert said in done.stderr
