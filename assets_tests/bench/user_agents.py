"""`python -m assets_tests.bench.user_agents`: how well robots are told by their user agent.

Belongs here: recall, false positives and cost on the labelled user agents, with folds whose own
patterns are left out. Does not belong here: the rules (``refine.user_agents``), or a threshold,
which the unit tests hold.

A list of known crawlers finds what it lists, which says nothing of the robots of tomorrow. So the
agents are cut into folds by the pattern that knows them, and a fold is judged without the patterns
that match agents of no other fold: what is found then, generic signs have found.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adx_platform.reference.enrichment import load_enrichment_reference
from adx_platform.refine import user_agents

LABELLED = Path(__file__).resolve().parents[3] / "shared" / "data" / "bots" / "ua_labelled.tsv"
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Quality:
    """How one judgement went: agents by label, and how many of them were called robots."""

    robots: int
    robots_found: int
    people: int
    people_found: int

    @property
    def recall(self) -> float:
        """Share of the robots that were found."""
        return self.robots_found / self.robots

    @property
    def false_positive_rate(self) -> float:
        """Share of the people that were called robots."""
        return self.people_found / self.people


def read_labelled(path: Path) -> pl.DataFrame:
    """The agents that are called robots or people: ``label``, ``user_agent``, each once.

    Those that one source calls a robot and another a person are left out: no answer is right.
    """
    rows = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    named = rows.filter(pl.col("label").is_in(["bot", "human"])).select("label", "user_agent")
    return named.unique(maintain_order=True).unique("user_agent", keep="none", maintain_order=True)


def judged(agents: pl.DataFrame, patterns: Sequence[str]) -> pl.Series:
    """Whether each agent is called a robot or a tool, knowing only ``patterns``."""
    told = user_agents.agents(agents["user_agent"], tuple(patterns))
    return told["is_crawler"] | told["is_tool"]


def quality(agents: pl.DataFrame, found: pl.Series) -> Quality:
    """Count ``found`` by label."""
    is_robot = agents["label"] == "bot"
    return Quality(
        int(is_robot.sum()),
        int((is_robot & found).sum()),
        int((~is_robot).sum()),
        int((~is_robot & found).sum()),
    )


def folds(agents: pl.DataFrame, patterns: Sequence[str]) -> Iterator[tuple[pl.Series, list[str]]]:
    """Each fold: which agents are in it, and the patterns that may be known in judging it.

    All agents of one pattern are in one fold, the one of the first pattern that matches them;
    agents that no pattern matches are dealt by their text. A pattern is left out of the fold that
    has all the robots it matches.
    """
    matches = _matches(agents, patterns)
    known_by: dict[int, str] = {}
    for pattern, rows in matches.items():
        for row in rows:
            known_by.setdefault(row, pattern)
    texts = agents["user_agent"].to_list()
    fold_of = [_fold(known_by.get(row, text)) for row, text in enumerate(texts)]
    for fold in range(FOLDS):
        left_out = {
            pattern
            for pattern, rows in matches.items()
            if rows and all(fold_of[row] == fold for row in rows)
        }
        inside = pl.Series([number == fold for number in fold_of], dtype=pl.Boolean)
        yield inside, [pattern for pattern in patterns if pattern not in left_out]


def _fold(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") % FOLDS


def _matches(agents: pl.DataFrame, patterns: Sequence[str]) -> Mapping[str, list[int]]:
    """Rows of the robots that each pattern matches."""
    found: dict[str, list[int]] = defaultdict(list)
    for pattern in patterns:
        search = re.compile(pattern).search
        for row, (label, text) in enumerate(agents.iter_rows()):
            if label == "bot" and search(text):
                found[pattern].append(row)
    return found


def cost_microseconds(agents: pl.DataFrame, patterns: Sequence[str]) -> float:
    """Of judging one agent that was not seen before; the best of three rounds."""
    rounds = []
    for _ in range(3):
        user_agents.forget()
        begun = time.perf_counter()
        judged(agents, patterns)
        rounds.append(time.perf_counter() - begun)
    return min(rounds) / agents.height * 1e6


def report(
    path: Annotated[
        Path, typer.Option("--labelled", help="TSV with the columns label and user_agent.")
    ] = LABELLED,
    reference: Annotated[
        Path, typer.Option(help="Folder of reference files: its lists are used, too.")
    ] = Path("none"),
    *,
    wrong: Annotated[bool, typer.Option(help="Also print what was judged wrongly.")] = False,
) -> None:
    """Measure the user-agent rule on labelled user agents."""
    agents = read_labelled(path)
    patterns = load_enrichment_reference(reference).crawler_patterns
    table = Table("judged", "robots", "recall", "people", "false positives", box=SIMPLE)
    _add(table, "with the list", quality(agents, judged(agents, patterns)))
    _add(table, "generic signs alone", quality(agents, judged(agents, ())))
    held_out = pl.Series([False], dtype=pl.Boolean).new_from_index(0, agents.height)
    for number, (inside, known) in enumerate(folds(agents, patterns), 1):
        part = agents.filter(inside)
        found = judged(part, known)
        held_out = held_out.scatter(inside.arg_true(), found)
        without = len(patterns) - len(known)
        _add(table, f"fold {number}, without {without:,} patterns", quality(part, found))
    _add(table, "all folds", quality(agents, held_out))
    console = Console()
    console.print(table)
    console.print(f"{cost_microseconds(agents, patterns):.0f} microseconds per new user agent")
    if wrong:
        mistaken = agents.filter((pl.col("label") == "bot") != held_out)
        for label, text in mistaken.iter_rows():
            console.print(f"{label}\t{escape(text)}", soft_wrap=True, highlight=False)


def _add(table: Table, name: str, of: Quality) -> None:
    table.add_row(
        name,
        f"{of.robots:,}",
        f"{of.recall:.2%}",
        f"{of.people:,}",
        f"{of.people_found:,} ({of.false_positive_rate:.2%})",
    )


if __name__ == "__main__":
    typer.run(report)
