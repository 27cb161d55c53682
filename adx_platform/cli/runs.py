"""Dagster runs with a progress bar: shared by the commands that start some.

Belongs here: what is said while runs go on, and a summary's problems as sentences. Does not belong
here: the runs (``orchestration.run``). Importing this imports Dagster.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from adx_platform.cli.output import progress_bar, stderr
from adx_platform.orchestration.run import LineEvent, LineSummary
from adx_platform.settings import Settings


class Runs(Protocol):
    """A function of ``orchestration.run``."""

    def __call__(
        self, settings: Settings, *, on_event: Callable[[LineEvent], None] | None = None
    ) -> LineSummary:
        """Run, telling ``on_event`` about progress."""
        ...


def run_with_progress(runs: Runs, settings: Settings) -> LineSummary:
    """Call ``runs`` with a progress bar that counts offsets, and a line per finished step."""
    with progress_bar("starting") as bar:

        def on_event(event: LineEvent) -> None:
            if event.kind == "started":
                bar.describe(event.step.name)
            elif event.kind == "batch" and event.batch is not None:
                bar.advance(sum(event.batch.counts.values()))
            elif event.kind == "finished":
                stderr.print(f"[green]done[/] {event.step.name}")
            else:
                stderr.print(f"[red]{event.kind}[/] {event.step.name}: ", end="")
                stderr.print(event.message, markup=False)

        with _stdout_in(settings.home / "logs" / "runs.log"):
            summary = runs(settings, on_event=on_event)
    stderr.print(f"{summary.checks} asset checks, {len(summary.failed_checks)} did not pass")
    return summary


@contextmanager
def _stdout_in(log: Path) -> Iterator[None]:
    """Send this process's standard output to ``log`` for the time of the block.

    dbt's two lines per model come through it, by Dagster's ``tee``: so the descriptor is moved, not
    only Python's object. Dagster keeps the same output with each run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    kept = os.dup(1)
    with log.open("ab") as target:
        os.dup2(target.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def problems_of(summary: LineSummary) -> list[str]:
    """What failed, one sentence each; warnings are not among them."""
    problems = [f"{run.step.name}: {run.error}" for run in summary.runs if not run.success]
    problems += [
        f"check {check.check} of {check.asset} failed: {check.description}"
        for run in summary.runs
        if run.broke_a_check
        for check in run.failed_checks
    ]
    problems += [f"{step.name} was not run" for step in summary.skipped]
    return problems
