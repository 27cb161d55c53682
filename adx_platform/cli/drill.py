"""`adx drill`: break the living platform on purpose, and print the score.

Belongs here: the command, the platform that it starts, and the table. Does not belong here: the
drill (``living.drill``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from adx_platform.cli.dev import say, set_environment
from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.live import (
    DEFAULT_HISTORY_DAYS,
    DEFAULT_PER_HOUR,
    DEFAULT_SPEED,
    HistoryOption,
    PerHourOption,
    SpeedOption,
    stopped_by_signals,
)
from adx_platform.cli.output import stdout, table
from adx_platform.cli.services import DEFAULT_UI_PORT, PortOption
from adx_platform.errors import AdxError
from adx_platform.living.drill import Drill, DrillOptions, DrillResult
from adx_platform.living.drill_plan import plan
from adx_platform.living.drill_report import SHORT_COLUMNS, short_cells, write_report
from adx_platform.living.programs import SUPERVISOR, dev_program, records
from adx_platform.living.stopping import SUPERVISOR_SECONDS, stop_home
from adx_platform.local_process import ask_to_stop, wait_until_ended
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings, load_settings

DRILLS = ".adx-drill"


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("drill")(drill)


def drill(
    ui_port: PortOption = DEFAULT_UI_PORT,
    speed: SpeedOption = DEFAULT_SPEED,
    per_hour: PerHourOption = DEFAULT_PER_HOUR,
    history_days: HistoryOption = DEFAULT_HISTORY_DAYS,
    *,
    clean_minutes: Annotated[
        float, typer.Option(min=0, help="Before the first fault: nothing may be found.")
    ] = 5.0,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this fault (may be given several times).")
    ] = None,
    attach: Annotated[
        bool, typer.Option("--attach", help="Drill the platform that runs in ADX_HOME.")
    ] = False,
) -> None:
    """Break the living platform twelve times and print what was found, mended and escalated.

    Takes about three quarters of an hour. The platform is started for it in a home of its own under
    `.adx-drill`, and stopped afterwards. The exit code is 1 if anything was not as it must be.
    """
    if not attach:
        os.environ.setdefault("ADX_HOME", f"{DRILLS}/{datetime.now(UTC):%Y%m%d-%H%M%S}")
    set_environment(ui_port)
    settings = load_settings()
    faults = [fault for fault in plan() if not only or fault.name in only]
    if not faults or (only and len(faults) != len(set(only))):
        raise WrongUsage(f"the faults are: {', '.join(fault.name for fault in plan())}")
    arguments = (
        f"--ui-port={ui_port}",
        f"--speed={speed:g}",
        f"--per-hour={per_hour}",
        f"--history-days={history_days:g}",
        "--no-faults",
    )
    options = DrillOptions(clean=timedelta(minutes=clean_minutes))
    with stopped_by_signals() as stop, _platform(settings, arguments, attach=attach):
        # Its database is made by whoever opens it first.
        settings.home.mkdir(parents=True, exist_ok=True)
        with IncidentStore.open(settings.incidents_url) as store:
            result = Drill(settings, faults, options, store, tell=_say, stop=stop).run()
    target = write_report(result, settings.home / "drill")
    _print(result, target)
    if not result.board.is_as_expected:
        raise typer.Exit(1)


@contextmanager
def _platform(settings: Settings, arguments: tuple[str, ...], *, attach: bool) -> Iterator[None]:
    """The platform to drill: one that runs, or one that is started here and stopped at the end."""
    running = records(settings)[SUPERVISOR].running()
    if attach:
        if running is None:
            raise AdxError(
                f"no platform runs in {settings.home}: start it with `adx dev --no-faults`, or "
                "leave out --attach"
            )
        yield
        return
    if settings.home.exists() and any(settings.home.iterdir()):
        raise AdxError(
            f"{settings.home} is not empty: a drill needs a fresh home (unset ADX_HOME), or a "
            "running platform and --attach"
        )
    _say(f"starting the platform in {settings.home}")
    started = dev_program(settings, arguments).start()
    try:
        yield
    finally:
        # In its first seconds it has no record as the supervisor yet, and would live on.
        ask_to_stop(started)
        wait_until_ended(started, SUPERVISOR_SECONDS)
        stop_home(settings)


def _say(line: str) -> None:
    say(f"{datetime.now(UTC):%H:%M:%S} {line}")


def _print(result: DrillResult, target: Path) -> None:
    rows = [short_cells(row) for row in result.board.rows]
    stdout.print(table("Drill", SHORT_COLUMNS, rows, text=(0, 2, 4, 5)))
    for alarm in result.board.false_alarms:
        say(f"false alarm: {alarm}")
    for finding in result.board.findings:
        say(f"finding: {finding}")
    for item in result.comparisons:
        say(f"{item.stream}: sent {item.sent:,}, in the lake {item.stored:,}")
    say(f"wrong actions: {result.board.wrong_actions}; report: {target}")
