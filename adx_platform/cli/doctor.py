"""`adx doctor`: look at every part of the installation, and say what to do.

Belongs here: the table and the exit code. Does not belong here: the probes (``pipeline.doctor``,
``orchestration.doctor``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from adx_platform.cli.errors import settings_problems
from adx_platform.cli.output import print_json, stdout
from adx_platform.observability.masking import masker_for
from adx_platform.pipeline.doctor.machine import machine_probes
from adx_platform.pipeline.doctor.probing import Diagnosis, Verdict, examine, failed, ok
from adx_platform.pipeline.doctor.servers import server_probes
from adx_platform.pipeline.doctor.stores import store_probes
from adx_platform.settings import Settings, current_settings

_COLOURS = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "bold red"}


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("doctor")(doctor)


def doctor(
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for all answers together.")
    ] = 30.0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Look at every part of the installation: how it is, why, and what to do about it.

    Nothing is changed; one small object is written to the lake and deleted. The exit code is 1 if
    a part has failed; warnings do not count.
    """
    try:
        found = [ok("settings", _described(settings := current_settings()))]
        found += diagnose(settings, now=datetime.now(UTC), timeout_seconds=timeout)
    except ValidationError as error:
        found = [
            failed("settings", problem, "correct the environment variable")
            for problem in settings_problems(error)
        ]
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        _print(found)
    if any(item.verdict == Verdict.FAILED for item in found):
        raise typer.Exit(1)


def diagnose(settings: Settings, *, now: datetime, timeout_seconds: float) -> list[Diagnosis]:
    """What every probe says about the installation of ``settings``."""
    # Dagster takes two seconds to import; the other commands need not wait for it.
    from adx_platform.orchestration.doctor import orchestration_probes  # noqa: PLC0415 - see above

    probes = [
        *machine_probes(settings),
        *server_probes(settings),
        *store_probes(settings, now=now),
        *orchestration_probes(settings, now=now),
    ]
    return examine(probes, timeout_seconds=timeout_seconds, mask=masker_for(settings))


def _described(settings: Settings) -> str:
    return f"profile {settings.profile}, home {settings.home}"


def _print(found: Sequence[Diagnosis]) -> None:
    shown = Table(title="adx doctor", title_justify="left", title_style="bold", header_style="dim")
    for name in ("part", "verdict", "cause and remedy"):
        # Wrapped, never cut: a path or a command in it is to be copied.
        shown.add_column(name, overflow="fold", no_wrap=name != "cause and remedy")
    for item in found:
        colour = _COLOURS[item.verdict]
        remedy = f"\n[bold]→ {escape(item.remedy)}[/]" if item.remedy else ""
        shown.add_row(
            escape(item.part),
            f"[{colour}]{item.verdict.value}[/]",
            f"{escape(item.cause)}{remedy}",
        )
    stdout.print(shown)
    counts = Counter(item.verdict for item in found)
    stdout.print(", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict))
