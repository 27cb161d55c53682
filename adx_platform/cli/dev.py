"""`adx dev`: the whole platform, alive, in the foreground.

Belongs here: the command and its environment. Does not belong here: the supervisor (``living``).
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from adx_platform.cli.live import (
    DEFAULT_HISTORY_DAYS,
    DEFAULT_PER_HOUR,
    DEFAULT_SPEED,
    HistoryOption,
    PerHourOption,
    SpeedOption,
    stopped_by_signals,
)
from adx_platform.cli.market import DEFAULT_SEED, SeedOption
from adx_platform.cli.output import stdout
from adx_platform.cli.services import DEFAULT_UI_PORT, PortOption
from adx_platform.living.programs import HOST, MarketOptions
from adx_platform.living.random_faults import RandomFaults
from adx_platform.living.supervisor import DevOptions, Supervisor
from adx_platform.settings import load_settings

DEFAULT_HOME = ".adx-dev"


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("dev")(dev)


def dev(
    ui_port: PortOption = DEFAULT_UI_PORT,
    speed: SpeedOption = DEFAULT_SPEED,
    per_hour: PerHourOption = DEFAULT_PER_HOUR,
    history_days: HistoryOption = DEFAULT_HISTORY_DAYS,
    seed: SeedOption = DEFAULT_SEED,
    *,
    faults: Annotated[
        bool, typer.Option(help="Break something every eight minutes or so, to see it mended.")
    ] = True,
) -> None:
    """Run the living platform in the foreground: broker, market, loop, Dagster.

    Everything is on: sensors, schedules, checks, incidents. A process that dies is started again.
    Ctrl-C stops all of it. Its home is `.adx-dev`, unless ADX_HOME says otherwise.
    """
    set_environment(ui_port)
    settings = load_settings()
    options = DevOptions(
        ui_port=ui_port,
        market=MarketOptions(seed=seed, speed=speed, per_hour=per_hour, history_days=history_days),
    )
    supervisor = Supervisor(
        settings,
        options,
        tell=say,
        mischief=RandomFaults(settings, seed=seed) if faults else None,
    )
    with stopped_by_signals() as stop:
        supervisor.run(stop)


def set_environment(ui_port: int) -> None:
    """Set what this process and everything that it starts go by; what is set already stays."""
    os.environ.setdefault("ADX_HOME", DEFAULT_HOME)
    os.environ.setdefault("ADX_AUTOMATION", "on")
    # A batch costs much the same whether it has ten messages or a thousand, and so does a report:
    # as often as a production loop they took a core away from Dagster (measured on two).
    os.environ.setdefault("ADX_FOLLOW__POLL_INTERVAL", "PT1S")
    os.environ.setdefault("ADX_FOLLOW__BATCH_INTERVAL", "PT4S")
    os.environ.setdefault("ADX_FOLLOW__REPORT_INTERVAL", "PT20S")
    os.environ.setdefault("ADX_ALERTS__UI_URL", f"http://{HOST}:{ui_port}")
    os.environ["ADX_HOME"] = str(load_settings().home)


def say(line: str) -> None:
    """Print one line as it is."""
    stdout.print(line, markup=False, highlight=False, soft_wrap=True)
