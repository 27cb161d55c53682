"""`adx attribution` from files to credits."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from adx_platform.cli import output

GUIDE = Path(__file__).parents[3] / "docs/guides/attribution.md"
PATHS = (
    "path,total_conversions,total_conversion_value,total_null\n"
    "C1 > C2 > C3,1,10.05,0\n"
    "C1,0,,1\n"
    "C2 > C3,0,,1\n"
)
TOUCHES = (
    "user_id,channel,touch_time,touch_type\n"
    "u1,search,2026-03-01T10:00:00Z,click\n"
    "u1,[display],2026-03-02T10:00:00Z,view\n"
    "u2,[display],2026-03-02T10:00:00Z,view\n"
)
CONVERSIONS = "user_id,conversion_time\nu1,2026-03-02T10:00:00Z\nu9,2026-03-02T10:00:00Z\n"


@pytest.fixture
def files(tmp_path: Path) -> Any:
    def write(**texts: str) -> list[str]:
        arguments = []
        for name, text in texts.items():
            file = tmp_path / f"{name}.csv"
            file.write_text(text, encoding="utf-8")
            arguments += ["--paths", str(file)]
        return arguments

    return write


def cells(text: str) -> list[list[str]]:
    lines = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row] for row in lines]


def test_a_path_table_for_people(adx: Any, files: Any) -> None:
    done = adx("attribution", *files(paths=PATHS))
    assert done.code == 0
    assert done.stderr == ""
    assert cells(done.stdout) == [
        ["C1", "0.000", "1.000", "0.333", "0.143", "0.400", "0.200", "0.333"],
        ["C2", "0.000", "0.000", "0.333", "0.286", "0.200", "0.400", "0.333"],
        ["C3", "1.000", "0.000", "0.333", "0.571", "0.400", "0.400", "0.333"],
        ["total", *["1.000"] * 7],
        ["C1", "0.000", "10.050", "3.350", "1.436", "4.020", "2.010", "3.350"],
        ["C2", "0.000", "0.000", "3.350", "2.871", "2.010", "4.020", "3.350"],
        ["C3", "10.050", "0.000", "3.350", "5.743", "4.020", "4.020", "3.350"],
        ["total", *["10.050"] * 7],
    ]


def test_a_narrow_terminal_gets_lines_rather_than_parts_of_figures(
    adx: Any, files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.stdout, "width", 60)
    done = adx("attribution", *files(paths=PATHS))
    assert len(cells(done.stdout)) == 7 * 3
    assert cells(done.stdout)[0] == ["last_touch", "C3", "1.000", "10.050"]
    assert "…" not in done.stdout


def test_csv_has_exact_decimals(adx: Any, files: Any) -> None:
    done = adx("attribution", *files(paths=PATHS), "--model", "linear", "--format", "csv")
    assert list(csv.reader(io.StringIO(done.stdout))) == [
        ["model", "channel", "conversions", "conversions_micros", "value", "value_micros"],
        ["linear", "C1", "0.333334", "333334", "3.350000", "3350000"],
        ["linear", "C2", "0.333333", "333333", "3.350000", "3350000"],
        ["linear", "C3", "0.333333", "333333", "3.350000", "3350000"],
    ]


@pytest.mark.parametrize("option", [["--json"], ["-f", "json"]])
def test_json_for_scripts(adx: Any, files: Any, option: list[str]) -> None:
    table = "path,conv\na | b,3\n"
    arguments = ("--separator", "|", "--model", "first_touch", "--model", "position_based")
    assert adx("attribution", *files(paths=table), *arguments, *option).json == [
        {"model": "first_touch", "channel": "a", "conversions": 3.0, "conversions_micros": 3000000},
        {"model": "first_touch", "channel": "b", "conversions": 0.0, "conversions_micros": 0},
        {
            "model": "position_based",
            "channel": "a",
            "conversions": 1.5,
            "conversions_micros": 1500000,
        },
        {
            "model": "position_based",
            "channel": "b",
            "conversions": 1.5,
            "conversions_micros": 1500000,
        },
    ]


def credit(done: Any) -> dict[str, float]:
    return {row["channel"]: row["conversions"] for row in done.json}


def test_touches_and_conversions_in_either_order(adx: Any, files: Any) -> None:
    given = files(touches=TOUCHES, conversions=CONVERSIONS)
    for arguments in (given, given[2:] + given[:2]):
        done = adx("attribution", *arguments, "--model", "last_touch", "--json")
        assert credit(done) == {"[display]": 1.0, "search": 0.0}
        assert "1 of 2 conversions have no touch in their window" in done.stderr


def test_windows_and_half_lives(adx: Any, files: Any) -> None:
    given = ("attribution", *files(touches=TOUCHES, conversions=CONVERSIONS), "--json", "--model")
    decayed = adx(*given, "time_decay", "--half-life", "1d")
    assert credit(decayed) == {"[display]": 0.666667, "search": 0.333333}
    short = adx(*given, "linear", "--lookback", "23h")
    assert credit(short) == {"[display]": 1.0, "search": 0.0}
    later = TOUCHES.replace("u1,[display],2026-03-02T10:00", "u1,[display],2026-03-02T09:00")
    given = ("attribution", *files(touches=later, conversions=CONVERSIONS), "--json", "--model")
    clicks = adx(*given, "linear", "--view-lookback", "59.5m")
    assert credit(clicks) == {"[display]": 0.0, "search": 1.0}


def test_options_of_models(adx: Any, files: Any) -> None:
    table = "path,conv,null\na>c,1,0\nb>c,0,1\n"
    given = ("attribution", *files(paths=table), "--json", "--model")
    assert credit(adx(*given, "markov")) == {"a": 0.25, "b": 0.25, "c": 0.5}
    assert credit(adx(*given, "markov", "--order", "2")) == {"a": 0.5, "b": 0.0, "c": 0.5}
    decayed = adx(*given, "time_decay", "--half-life-touches", "0.5")
    assert credit(decayed) == {"a": 0.2, "b": 0.0, "c": 0.8}
    # v(ac) = 1, v(abc) = 1/2: b takes 1/6 of 1/2 away, a and c share the rest.
    rated = credit(adx(*given, "shapley", "--shapley-worth", "rate"))
    assert rated == {"a": 0.666667, "b": -0.333333, "c": 0.666666}


@pytest.mark.parametrize(
    ("texts", "options", "code_and_words"),
    [
        ({"a": "path,conv\na,1\n", "b": "path,conv\na,1\n"}, [], (2, "a second table of paths")),
        ({"a": "path,conv\na,1\n", "b": CONVERSIONS}, [], (2, "conversions in itself")),
        ({"a": TOUCHES}, [], (2, "a table of touches needs one of conversions beside it")),
        ({"a": CONVERSIONS}, [], (2, "a table of conversions needs one of touches beside it")),
        (
            {"a": PATHS},
            ["--lookback", "3d"],
            (2, "--lookback is for a touch and a conversion table"),
        ),
        ({"a": PATHS}, ["--view-lookback", "3d"], (2, "--view-lookback is for")),
        ({"a": PATHS}, ["--half-life", "3d"], (2, "a path table has no times")),
        ({"a": TOUCHES, "b": CONVERSIONS}, ["--separator", ">"], (2, "is for a path table")),
        ({"a": TOUCHES, "b": CONVERSIONS}, ["--half-life-touches", "2"], (2, "give --half-life")),
        ({"a": TOUCHES, "b": CONVERSIONS}, ["--lookback", "30"], (2, "'30' is no length of time")),
        ({"a": TOUCHES, "b": CONVERSIONS}, ["--lookback", "0d"], (2, "'0d' is no length of time")),
        (
            {"a": TOUCHES.replace(",touch_type", ",kind"), "b": CONVERSIONS},
            ["--view-lookback", "1d"],
            (2, "needs a column touch_type"),
        ),
        ({"a": PATHS}, ["--model", "best"], (2, "'best' is not one of 'last_touch'")),
        ({"a": PATHS}, ["--order", "0"], (2, "greater than or equal to 1")),
        ({"a": "path,value\na,1\n"}, [], (1, "a.csv: this is a table of paths, but it has no")),
        ({"a": "x,y\n1,2\n"}, [], (1, "the columns x, y make no table that is known")),
        ({"a": ""}, [], (1, "a.csv is no CSV table with a header")),
        ({"a": "path,conv\na,1,2,3\n"}, [], (1, "a.csv is no CSV table with a header")),
        ({"a": "path,conv\na,0\n"}, [], (1, "there are no conversions")),
        ({"a": "path,conv\na > > b,1\n"}, [], (1, "row 1: a channel is empty")),
    ],
)
def test_what_cannot_be_done_is_explained(
    adx: Any,
    files: Any,
    texts: dict[str, str],
    options: list[str],
    code_and_words: tuple[int, str],
) -> None:
    code, said = code_and_words
    done = adx("attribution", *files(**texts), *options)
    assert done.code == code
    assert said in done.words
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_named(adx: Any, tmp_path: Path) -> None:
    done = adx("attribution", "--paths", "absent.csv")
    assert done.code == 2
    assert "absent.csv" in done.words


def blocks(language: str) -> list[str]:
    """The code blocks of the guide in this language."""
    opened = GUIDE.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return [block.split("```")[0] for block in opened]


def test_the_guide_shows_what_is_printed(adx: Any, files: Any) -> None:
    done = adx("attribution", *files(paths=blocks("csv")[0]))
    shown = [line.rstrip() for line in blocks("text")[0].splitlines()]
    assert [line.rstrip() for line in done.stdout.splitlines()][: len(shown)] == shown


def test_the_journeys_of_the_guide_are_understood(adx: Any, files: Any) -> None:
    _, touches, conversions = blocks("csv")
    windows = blocks("sh")[1].split("conversions.csv")[1].split()
    given = files(touches=touches, conversions=conversions)
    done = adx("attribution", *given, *windows, "--model", "linear", "--json")
    assert [(row["channel"], row["value"]) for row in done.json] == [
        ("display", 12.5),
        ("search", 12.5),
    ]
