from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from adx_platform.reference.enrichment import load_enrichment_reference
from adx_platform.reference.files import files_digest
from adx_platform.reference.iab_lists import AgentListError, load_agent_lists
from adx_platform.refine.agent_lists import AgentLists, ListedAgent, listed
from adx_platform.refine.user_agents import agents

# Made up in the format of the licensed files.
BROWSERS = """\
# a made-up list of browsers

Mozilla/|1|1
Quietfox|1|0|
OldBrowser|0|0|12/31/2009
"""
ROBOTS = """\
# a made-up list of robots
tidewatch|1||0|2|0
probe|1|space probe, probert|1|0|0
zap|1||0|1|1|
goneby|0||0|2|0|1/2/2010
"""
PERSON = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0"


def write(folder: Path, browsers: str | None = BROWSERS, robots: str | None = ROBOTS) -> Path:
    for name, text in (("iab_browsers.txt", browsers), ("iab_robots.txt", robots)):
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_no_files_say_nothing(tmp_path: Path) -> None:
    assert load_agent_lists(tmp_path) == AgentLists()


def test_active_entries_are_read_with_their_flags(tmp_path: Path) -> None:
    lists = load_agent_lists(write(tmp_path))
    assert lists.browsers == (ListedAgent("mozilla/", True), ListedAgent("quietfox"))
    assert lists.robots == (
        ListedAgent("probe", False, ("space probe", "probert")),
        ListedAgent("tidewatch"),
        ListedAgent("zap", True),
    )


@pytest.mark.parametrize(
    ("agent", "robot"),
    [
        ("X TideWatch/2", True),
        ("a Probe 1", True),
        ("a Space Probe 1", False),
        ("Probert's browser", False),
        ("Zap/1", True),
        ("a zap", False),
        ("GoneBy", False),
    ],
)
def test_entries_mean_what_their_flags_say(tmp_path: Path, agent: str, robot: bool) -> None:
    lists = load_agent_lists(write(tmp_path))
    assert listed(pl.Series([agent]), lists.robots).to_list() == [robot]


def test_both_passes_decide(tmp_path: Path) -> None:
    lists = load_agent_lists(write(tmp_path))
    texts = [PERSON, PERSON + " tidewatch", "Dalvik/2.1.0 (Linux; U; Android 12)"]
    told = agents(pl.Series(texts), (), lists)
    assert told["is_crawler"].to_list() == [False, True, False]
    assert told["is_tool"].to_list() == [False, False, True]
    # Without the list of browsers, there is one pass.
    alone = agents(pl.Series(texts), (), AgentLists((), lists.robots))
    assert alone["is_crawler"].to_list() == [False, True, False]
    assert alone["is_tool"].to_list() == [False, False, False]


def test_the_version_and_the_digest_follow_the_lists(tmp_path: Path) -> None:
    versions = [load_enrichment_reference(tmp_path).version]
    digests = [files_digest(tmp_path)]
    write(tmp_path, robots=None)
    for robots in (None, ROBOTS, ROBOTS + "more|1||0|2|0\n"):
        write(tmp_path, browsers=None, robots=robots)
        versions.append(load_enrichment_reference(tmp_path).version)
        digests.append(files_digest(tmp_path))
    assert len(set(versions)) == len(set(digests)) == 4
    # A comment changes the file, but not what rows are judged by.
    write(tmp_path, browsers=None, robots=ROBOTS + "more|1||0|2|0\n# end\n")
    assert load_enrichment_reference(tmp_path).version == versions[-1]


@pytest.mark.parametrize(
    ("browsers", "robots", "message"),
    [
        ("Mozilla/|1\n", None, r"iab_browsers.txt, line 1: has 2 fields, not 3"),
        ("#\nMozilla/|yes|1\n", None, r"line 2: the active flag is 'yes'"),
        ("Mozilla/|1|7\n", None, r"line 1: the start-of-string flag is '7'"),
        ("|1|1\n", None, r"line 1: the pattern is empty"),
        ("a|1|1|yesterday\n", None, r"line 1: 'yesterday' is not a date"),
        ("a|0|1\n", None, r"iab_browsers.txt has no active entry"),
        (None, "a|1||0|3|0\n", r"iab_robots.txt, line 1: the impact is '3'"),
        (None, "a|1||x|2|0\n", r"line 1: the one-pass flag is 'x'"),
        (None, "\n\na|1\n", r"line 3: has 2 fields, not 6"),
    ],
)
def test_an_unusable_file_says_where(
    tmp_path: Path, browsers: str | None, robots: str | None, message: str
) -> None:
    with pytest.raises(AgentListError, match=message):
        load_enrichment_reference(write(tmp_path, browsers, robots))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "iab_robots.txt").write_bytes("caf\xe9|1||0|2|0\n".encode("latin-1"))
    with pytest.raises(AgentListError, match="is not UTF-8"):
        load_agent_lists(tmp_path)
