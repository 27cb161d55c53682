"""`adx demo`: the whole line once, from an empty machine to a report.

Belongs here: the order of the steps and what is said between them. Does not belong here: any step.
Every step continues where an interrupted one stopped, so running the demo again is safe.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.market import (
    DEFAULT_DAYS,
    DEFAULT_EVENTS,
    DEFAULT_SEED,
    DaysOption,
    EventsOption,
    SeedOption,
    ensure_market,
    feed_all,
    market_config,
)
from adx_platform.cli.output import stderr, stdout, table
from adx_platform.cli.report import print_report
from adx_platform.living.brokers import running_broker
from adx_platform.reporting.line import gather_line_report
from adx_platform.settings import Settings


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("demo")(demo)


class Stopwatch:
    """Seconds per step, in the order of the steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure one step and say on stderr when it is done."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
        stderr.print(f"[green]done[/] {name} ({self.seconds[name]:.1f} s)")


def demo(
    events: EventsOption = DEFAULT_EVENTS,
    days: DaysOption = DEFAULT_DAYS,
    seed: SeedOption = DEFAULT_SEED,
) -> None:
    """Simulate an ad market with faults and take it through the whole line, then report.

    Broker, landing, refining, warehouse, dbt, every asset check, publishing: all through Dagster on
    this machine. Running it again continues where it stopped; `make clean` resets.
    """
    settings = checked_settings()
    watch = Stopwatch()
    manifest = _parse_models_meanwhile()
    broker, started_here = running_broker(settings)
    try:
        with watch.step("simulate"):
            config = market_config(settings, events=events, days=days, seed=seed)
            messages = ensure_market(settings, config)
        with watch.step("send"):
            feed_all(settings)
        manifest.wait()
        problems = _run_line(settings, watch)
    finally:
        manifest.terminate()
        manifest.wait()
        if broker is not None and started_here:
            broker.stop()
    if problems:
        # Before the report, which may not be possible then.
        stderr.print(f"[bold red]{len(problems)} problems[/]:")
        for problem in problems:
            stderr.print(f"  {problem}", markup=False)
    found = gather_line_report(settings)
    stdout.print()
    print_report(found)
    _print_throughput(watch, sum(messages.values()))
    _print_next_steps()
    if problems or not found.conservation.holds:
        raise typer.Exit(1)


def _parse_models_meanwhile() -> subprocess.Popen[bytes]:
    """Let dbt parse the models (10 s of one core, once) while the market is simulated on another.

    Whether it worked is seen later: ``ensure_manifest`` parses again, and raises, if it did not.
    """
    command = [sys.executable, "-m", "adx_platform.orchestration.dbt_project"]
    return subprocess.Popen(  # noqa: S603 - our own module
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _run_line(settings: Settings, watch: Stopwatch) -> list[str]:
    """Run the line through Dagster; returns what failed, in sentences."""
    # Dagster and dbt take four seconds to import: only the commands that need them do so.
    with watch.step("load Dagster"):
        from adx_platform.cli.runs import problems_of, run_with_progress  # noqa: PLC0415 - slow
        from adx_platform.orchestration.dbt_project import ensure_manifest  # noqa: PLC0415 - slow
        from adx_platform.orchestration.run import run_line  # noqa: PLC0415 - slow

        ensure_manifest(settings)
    summary = run_with_progress(run_line, settings)
    for run in summary.runs:
        name = "ingest" if run.step.job.startswith("ingest_") else run.step.job
        watch.seconds[name] = watch.seconds.get(name, 0.0) + run.seconds
    return problems_of(summary)


def _print_throughput(watch: Stopwatch, messages: int) -> None:
    body: list[list[object]] = [
        [name, seconds, _rate(name, messages, seconds)] for name, seconds in watch.seconds.items()
    ]
    body.append(["all", sum(watch.seconds.values()), None])
    stdout.print(table("Throughput", ("step", "seconds", "messages/s"), body))


def _rate(step: str, messages: int, seconds: float) -> int | None:
    counted = {"simulate", "send", "ingest", "load"}
    return round(messages / seconds) if step in counted and seconds > 0 else None


def _print_next_steps() -> None:
    # `make demo` runs it from an environment that is not on the search path.
    adx = "adx" if shutil.which("adx") else os.path.relpath(sys.argv[0])
    stdout.print("Where to look next:", style="bold")
    for command, what in (
        (f"{adx} up", "the Dagster UI on http://127.0.0.1:3000"),
        (f'{adx} query "from marts.agg_campaign_daily"', "SQL on the published marts"),
        (f"{adx} rejects ls", "what was refused, and why"),
        (f"{adx} report", "this again; --json for scripts"),
        ("make clean", "start over"),
    ):
        stdout.print(f"  {command:<52} {what}", highlight=False, markup=False, soft_wrap=True)
