from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import pytest

CAMPAIGNS = (
    "insert into marts.agg_campaign_daily (campaign_id, currency, gross_impressions) values "
    "('[/red]', 'EUR', 1234567), ('c-2', null, 2)"
)
TWO = "select campaign_id, gross_impressions, currency from marts.agg_campaign_daily order by 2"


@pytest.fixture(autouse=True)
def published(small_line: Any) -> None:
    small_line.publish(sql=CAMPAIGNS)


def test_a_table_for_people(adx: Any) -> None:
    done = adx("query", TWO)
    assert done.code == 0
    assert "2 rows" in done.stdout
    cells = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in cells] == [
        ["c-2", "2", "-"],
        ["[/red]", "1,234,567", "EUR"],
    ]
    assert done.stderr == ""


def test_csv_for_other_programs(adx: Any) -> None:
    done = adx("query", TWO, "--format", "csv")
    assert list(csv.reader(io.StringIO(done.stdout))) == [
        ["campaign_id", "gross_impressions", "currency"],
        ["c-2", "2", ""],
        ["[/red]", "1234567", "EUR"],
    ]


@pytest.mark.parametrize("option", [["--json"], ["-f", "json"]])
def test_json_for_scripts(adx: Any, option: list[str]) -> None:
    assert adx("query", TWO, *option).json == [
        {"campaign_id": "c-2", "gross_impressions": 2, "currency": None},
        {"campaign_id": "[/red]", "gross_impressions": 1_234_567, "currency": "EUR"},
    ]


def test_json_of_every_kind_of_value(adx: Any) -> None:
    sql = (
        "select timestamp '2026-03-02 10:00:00' as ts, date '2026-03-02' as d, 1.50::decimal(9,2) "
        "as money, [1, 2] as l, {'a': 'é'} as s, '\\xFF'::blob as b, "
        "time '10:00:01' as t"
    )
    assert adx("query", sql, "--json").json == [
        {
            "ts": "2026-03-02T10:00:00",
            "d": "2026-03-02",
            "money": "1.50",
            "l": [1, 2],
            "s": {"a": "é"},
            "b": "\\xff",
            "t": "10:00:01",
        }
    ]


def test_more_columns_than_fit_become_one_line_per_value(adx: Any) -> None:
    done = adx("query", "select * from marts.agg_campaign_daily order by gross_impressions desc")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[:4] == [
        ["--", "row", "1", "of", "2"],
        ["campaign_id", "[/red]"],
        ["currency", "EUR"],
        ["gross_impressions", "1,234,567"],
    ]
    assert "─" not in done.stdout


def test_one_long_text_does_not_spoil_a_table(adx: Any) -> None:
    done = adx("query", "select 1 as n, repeat('word ', 60) as text")
    title, _, heads, *_ = done.stdout.splitlines()
    assert title.strip() == "1 row"
    assert heads.split("┃")[1].strip() == "n"
    assert done.words.count("word") == 60


def test_no_rows_are_said_to_be_none(adx: Any) -> None:
    assert adx("query", "select 1 as a where false").stdout == "no rows\n"
    assert adx("query", "select 1 as a where false", "--json").json == []
    assert adx("query", "select 1 as a where false", "-f", "csv").stdout == "a\n"


def test_a_long_result_is_cut_for_people_only(adx: Any) -> None:
    done = adx("query", "select * from range(1000)")
    assert done.stdout.count("\n│") == 200
    assert "the first 200 of 1,000 rows; --limit shows more" in done.stderr
    assert len(adx("query", "select * from range(1000)", "--json").json) == 1000


def test_the_limit_can_be_moved(adx: Any) -> None:
    done = adx("query", "select * from range(5)", "--limit", "3")
    assert done.stdout.count("\n│") == 3
    assert "5 rows" in done.stdout
    assert "the first 3 of 5 rows" in done.stderr
    whole = adx("query", "select * from range(1000)", "--limit", "1000")
    assert whole.stdout.count("\n│") == 1000
    assert whole.stderr == ""


def test_the_query_may_come_from_stdin(adx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("select 42 as answer"))
    assert adx("query", "-", "--json").json == [{"answer": 42}]


def test_the_query_may_come_from_a_file(adx: Any, tmp_path: Path) -> None:
    file = tmp_path / "question.sql"
    # As Windows' editors save it.
    file.write_text("-- what?\nselect 'é' as answer;\n", encoding="utf-8-sig")
    assert adx("query", "--file", str(file), "--json").json == [{"answer": "é"}]


def test_a_file_that_is_no_text_is_refused(adx: Any, tmp_path: Path) -> None:
    file = tmp_path / "question.sql"
    file.write_bytes(b"select '\xff'")
    done = adx("query", "--file", str(file))
    assert done.code == 2
    assert "cannot be read as UTF-8 text" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["select 1", "--file", __file__], "give the query itself or --file, not both"),
        (["--file", "absent.sql"], "absent.sql"),
        ([], "there is no query"),
        (["select 1", "--limit", "0"], "greater than or equal to 1"),
    ],
)
def test_one_query_is_needed(adx: Any, arguments: list[str], said: str) -> None:
    done = adx("query", *arguments)
    assert done.code == 2
    assert said in done.words


def test_sums_of_integers_are_integers(adx: Any) -> None:
    # DuckDB adds them as decimals of no places.
    sql = (
        "select sum(gross_impressions) as s, 1.50::decimal(9, 2) as d from marts.agg_campaign_daily"
    )
    assert adx("query", sql, "--json").json == [{"s": 1_234_569, "d": "1.50"}]
    assert "1,234,569" in adx("query", sql).stdout


def test_json_has_null_where_there_is_no_number(adx: Any) -> None:
    sql = "select 1 / 0 as x, 'nan'::double as y, 0.5::double as z"
    assert adx("query", sql, "--json").json == [{"x": None, "y": None, "z": 0.5}]


def test_a_query_leaves_no_file(adx: Any, tmp_path: Path) -> None:
    target = tmp_path / "stolen.csv"
    done = adx("query", f"copy (select 1) to '{target}'")
    assert done.code == 1
    assert "neither writes nor reads any file" in done.stderr
    assert not target.exists()


def test_nothing_published_says_what_to_do(adx: Any, small_line: Any) -> None:
    (small_line.settings.published_dir / "CURRENT").unlink()
    done = adx("query", "select 1")
    assert done.code == 1
    assert "run `adx demo` for a sample market" in done.stderr
    assert "`adx build`" in done.stderr


@pytest.mark.parametrize(
    ("sql", "code", "said"),
    [
        ("selct 1", 1, 'syntax error at or near "selct"'),
        ("select * from marts.qqqqqq", 1, "there is no table qqqqqq; there are marts.agg_"),
        ("from dim_campaign", 1, "there is no table dim_campaign; near are marts.dim_campaigns"),
        ("from marts.FCT_conversion", 1, "near are marts.fct_conversions"),
        ("select 1; select 2", 1, "one query at a time: these are 2 statements"),
        ("select 1 as a, 2 as a", 1, "two columns have one name, rename one with AS"),
        ("select campaign from marts.agg_campaign_daily", 1, "campaign_id"),
        ("create table marts.x as select 1", 1, "read-only"),
        ("select interval 1 day as i", 1, "cast it to varchar"),
        ("  \n", 2, "there is no query"),
    ],
)
def test_wrong_sql_is_explained_by_the_engine(adx: Any, sql: str, code: int, said: str) -> None:
    done = adx("query", sql)
    assert done.code == code
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
