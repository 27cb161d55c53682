"""`python -m assets_tests.fuzz`: hostile messages to every stream for so long, and what came of it.

Belongs here: the command, the clock and the table. Does not belong here: the rules (``oracle``).
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from adx_platform.contracts.streams import STREAMS
from assets_tests.fuzz.oracle import BrokenRuleError, Fuzzer
from assets_tests.fuzz.seeds import context_of, make_market, seeds_of

FINDINGS = Path("fuzz-findings")


def fuzz(
    minutes: Annotated[float, typer.Option(min=0, help="Of each stream.")] = 10.0,
    seed: Annotated[int, typer.Option(help="The same one gives the same messages.")] = 1,
    stream: Annotated[list[str] | None, typer.Option(help="Only this one.")] = None,
) -> None:
    """Send mutated messages through decoding and refining until the time is over."""
    console = Console()
    columns = ("stream", "messages", "a second", "slowest batch, s", "peak MB", "dispositions")
    table = Table(*columns, box=SIMPLE, title="Hostile messages")
    findings = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_market(home)
        for name in stream or list(STREAMS):
            known = STREAMS[name]
            fuzzer = Fuzzer(context_of(home, known), seeds_of(home, known), seed)
            deadline = time.monotonic() + minutes * 60
            while time.monotonic() < deadline:
                try:
                    fuzzer.batch()
                except BrokenRuleError as broken:
                    findings += 1
                    console.print(f"{name}: {broken.rule}: {_kept(name, findings, broken)}")
            tally = fuzzer.tally
            counts = ", ".join(f"{n:,} {k}" for k, n in sorted(tally.dispositions.items()))
            table.add_row(
                name,
                f"{tally.messages:,}",
                f"{tally.messages / max(tally.seconds, 1e-9):,.0f}",
                f"{tally.slowest:.2f}",
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}",
                counts,
            )
            reasons = ", ".join(f"{code} {n:,}" for code, n in tally.reasons.most_common())
            console.print(f"{name}: {reasons}")
    console.print(table)
    if findings:
        raise typer.Exit(1)


def _kept(stream: str, number: int, broken: BrokenRuleError) -> Path:
    """Where the batch that shows it is: one hexadecimal text a message."""
    FINDINGS.mkdir(exist_ok=True)
    path = FINDINGS / f"{stream}-{number}.json"
    texts = [None if value is None else value.hex() for value in broken.messages]
    path.write_text(json.dumps({"rule": broken.rule, "messages": texts}), encoding="utf-8")
    return path


if __name__ == "__main__":
    typer.run(fuzz)
