"""`python -m assets_tests.bench`: run all cases, print the tables.

Belongs here: the command, the order of the run, and the form of its results. Does not belong here:
the cases and their measuring.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from adx_platform.contracts.streams import STREAMS
from adx_platform.settings import KafkaSettings
from adx_platform.streams.embedded import EmbeddedBroker
from adx_platform.streams.errors import EmbeddedBrokerError
from assets_tests.bench.cases import CASES, CEILING, Bench, imports_only
from assets_tests.bench.commits import ROWS, CommitCost, commit_costs
from assets_tests.bench.measure import Measurement, in_fresh_process
from assets_tests.bench.traffic import Traffic, make_traffic
from assets_tests.servers.ports import free_port

_QUICK_MESSAGES = 5_000
_QUICK_COMMITS = 40


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured.

    ``load_before`` and ``load_after``: programs that wanted a core, mean of a minute, where the
    operating system tells. ``imports_mb``: peak memory of a process that only imports.
    """

    load_before: float | None
    load_after: float | None
    imports_mb: float | None
    traffic: list[Traffic]
    cases: dict[str, dict[str, Measurement]]
    commits: list[CommitCost]


def bench(
    messages: Annotated[int, typer.Option(min=1000, help="Messages of each stream.")] = 100_000,
    repetitions: Annotated[
        int, typer.Option(min=1, help="Kept repetitions of each case; one more warms up.")
    ] = 3,
    commits: Annotated[int, typer.Option(min=2, help="Small commits to each table.")] = 300,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
    *,
    quick: Annotated[
        bool, typer.Option(help="Little of everything: to see that it runs, not how fast.")
    ] = False,
) -> None:
    """Measure speed and memory of each step of the line on this machine."""
    if quick:
        messages, repetitions, commits = _QUICK_MESSAGES, 1, _QUICK_COMMITS
    _forget_configuration()
    try:
        results = _results(messages, repetitions, commits)
    except EmbeddedBrokerError as error:
        Console(stderr=True).print(str(error), markup=False)
        raise typer.Exit(1) from error
    console = Console()
    console.print(_speed_table(results))
    console.print(_traffic_table(results))
    console.print(_commit_table(results))
    console.print(_conditions(results, repetitions), highlight=False)
    if json_file is not None:
        text = json.dumps(_document(results, repetitions), indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")


def _results(messages: int, repetitions: int, commits: int) -> Results:
    # On Windows a program that has just ended may hold its files for another moment.
    with tempfile.TemporaryDirectory(prefix="adx-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        with _broker(home) as kafka:
            return _run(Bench(home, kafka, messages, repetitions), commits)


def _run(setup: Bench, commits: int) -> Results:
    load_before = _load()
    with Console(stderr=True).status("") as status:
        status.update("simulating a market and sending it")
        traffic = in_fresh_process(make_traffic, setup.home, setup.kafka, setup.messages)
        cases: dict[str, dict[str, Measurement]] = {}
        for stream in STREAMS:
            cases[stream] = {}
            for name, case in CASES.items():
                status.update(f"{stream}: {name}")
                cases[stream][name] = in_fresh_process(case, setup, stream)
        status.update("small commits")
        costs = in_fresh_process(commit_costs, setup, commits)
    return Results(load_before, _load(), in_fresh_process(imports_only), traffic, cases, costs)


def _forget_configuration() -> None:
    """Measure the defaults, and keep away from any lake or broker that this shell is set up for."""
    for name in [name for name in os.environ if name.startswith("ADX_")]:
        del os.environ[name]


@contextmanager
def _broker(home: Path) -> Iterator[KafkaSettings]:
    broker = EmbeddedBroker(home / "broker", free_port(), home / "broker.log")
    broker.start()
    try:
        yield KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    finally:
        broker.stop()


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _speed_table(results: Results) -> Table:
    built = _table(
        "Speed and memory",
        (
            "step",
            "messages",
            "k msg/\nCPU s",
            "of\nceiling",
            "k msg/s\nwall",
            "peak\nMB",
            "B/msg",
        ),
    )
    for item in results.traffic:
        built.add_row(item.stream, style="bold")
        measured = results.cases[item.stream]
        for name, found in measured.items():
            built.add_row(
                f"  {name}",
                f"{found.messages:,}",
                f"{found.messages_per_cpu_second / 1000:,.1f}",
                f"{_of_ceiling(measured, name):.1%}",
                f"{found.messages_per_second / 1000:,.1f}",
                "-" if found.peak_mb is None else f"{found.peak_mb:,.0f}",
                f"{item.bytes_per_message:,.0f}",
            )
        built.add_section()
    return built


def _of_ceiling(measured: dict[str, Measurement], name: str) -> float:
    ceiling = measured[CEILING].messages_per_cpu_second
    return measured[name].messages_per_cpu_second / ceiling


def _traffic_table(results: Results) -> Table:
    built = _table("Traffic", ("stream", "messages", "malformed", "duplicates"))
    for item in results.traffic:
        built.add_row(
            item.stream,
            f"{item.messages:,}",
            f"{item.malformed / item.messages:.2%}",
            f"{item.duplicates / item.messages:.2%}",
        )
    return built


def _commit_table(results: Results) -> Table:
    window = results.commits[0].window
    built = _table(
        f"Plan and commit of {ROWS} rows, medians of {window}",
        ("table", "commits", "first\nms", "last\nms", "ratio", "ratio\nof CPU", "worst\nratio"),
    )
    for cost in results.commits:
        built.add_row(
            cost.table,
            f"{cost.commits:,}",
            f"{cost.first_ms:.1f}",
            f"{cost.last_ms:.1f}",
            f"{cost.ratio:.2f}",
            f"{cost.cpu_ratio:.2f}",
            f"{cost.worst_ratio:.2f}",
        )
    return built


def _table(title: str, columns: Sequence[str]) -> Table:
    """Fits 80 characters, which is what a pipe or a build log is taken for."""
    built = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE, padding=(0, 1, 0, 0)
    )
    for position, name in enumerate(columns):
        built.add_column(name, justify="right" if position else "left", no_wrap=True)
    return built


def _conditions(results: Results, repetitions: int) -> str:
    loads = [f"{value:.1f}" for value in (results.load_before, results.load_after) if value]
    sentences = [
        f"Medians of {repetitions} after one discarded, each step in a fresh process.",
        "CPU is ours, threads and children included; wall clock has the broker on the same cores.",
        "Land and ingest connect anew and wait until each commit is on disk.",
    ]
    if results.imports_mb is not None:
        sentences.append(f"Imports alone take {results.imports_mb:.0f} MB.")
    if loads:
        sentences.append(f"Load of {os.cpu_count()} cores before and after: {', '.join(loads)}.")
    return "\n".join(sentences)


def _document(results: Results, repetitions: int) -> dict[str, object]:
    machine = {
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    return {"machine": machine, "repetitions": repetitions, **asdict(results)}


if __name__ == "__main__":
    typer.run(bench)
