"""`adx erase`: take a person out of the lake, the warehouse and the published snapshots.

Belongs here: arguments, the order of lake and warehouse, the summary. Does not belong here: erasing
(``pipeline.erasure``, ``warehouse.erasure``).
"""

from __future__ import annotations

import re
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.inputs import opened_platform
from adx_platform.cli.output import print_json, stderr, stdout
from adx_platform.errors import AdxError
from adx_platform.pipeline.erasure import (
    SHORTEST_SEARCHED,
    Person,
    StreamErasure,
    erase_from_lake,
    look_for,
)
from adx_platform.pipeline.platform import Platform
from adx_platform.settings import Settings
from adx_platform.warehouse.erasure import forget_person

_PSEUDONYM = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WAIT_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("erase")(erase)


def erase(
    user_id: Annotated[
        str | None,
        typer.Option("--user-id", help="The id as senders write it; - reads it from stdin."),
    ] = None,
    pseudonym: Annotated[
        str | None, typer.Option(help="Instead of the id: its pseudonym, 64 hex digits.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be erased; change nothing.")
    ] = False,
    vacuum_now: Annotated[
        bool,
        typer.Option(
            "--vacuum-now",
            help="Delete replaced lake files at once, not after ADX_LAKE__VACUUM_AFTER. Readers "
            "of an older version lose it.",
        ),
    ] = False,
    build: Annotated[
        bool,
        typer.Option(
            "--build/--no-build", help="Also build and publish, and drop former snapshots."
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Erase a person: in the lake, the warehouse and the published snapshots.

    What was counted and paid stays, without anything that leads to the person. Safe to interrupt
    and to run again. With `--pseudonym`, rejected messages are not searched.
    """
    platform = opened_platform()
    person = _person(platform.settings, user_id, pseudonym)
    if user_id is not None and not person.is_searched_for:
        stderr.print(
            f"The id has fewer than {SHORTEST_SEARCHED} characters: rejected messages are not "
            "searched for it."
        )
    if dry_run:
        _show(list(look_for(platform, person)), as_json=as_json)
        return
    with stderr.status("erasing in the lake"):
        done = list(erase_from_lake(platform, person, vacuum_now=vacuum_now))
    if build:
        _erase_from_warehouse(platform, person)
    _show(done, as_json=as_json)


def _person(settings: Settings, user_id: str | None, pseudonym: str | None) -> Person:
    if (user_id is None) == (pseudonym is None):
        raise WrongUsage("say whom: either --user-id or --pseudonym")
    if pseudonym is not None:
        if not _PSEUDONYM.fullmatch(pseudonym):
            raise WrongUsage("--pseudonym must be 64 hex digits, in lower case")
        return Person(frozenset({pseudonym}))
    raw_id = sys.stdin.readline() if user_id == "-" else user_id
    try:
        return Person.of_raw_id(raw_id or "", settings.privacy)
    except ValueError as error:
        raise WrongUsage(f"--user-id: {error}") from error


def _erase_from_warehouse(platform: Platform, person: Person) -> None:
    settings = platform.settings
    if settings.warehouse.engine == "duckdb" and not settings.duckdb_path.exists():
        return
    # Dagster and dbt take four seconds to import: only the commands that need them do so.
    from adx_platform.cli.runs import problems_of, run_with_progress  # noqa: PLC0415 - slow
    from adx_platform.orchestration.dbt_project import ensure_manifest  # noqa: PLC0415 - slow
    from adx_platform.orchestration.run import run_warehouse  # noqa: PLC0415 - slow

    ensure_manifest(settings)
    problems = problems_of(run_with_progress(run_warehouse, settings))
    if problems:
        raise AdxError(
            "the lake is done, but the build is not green, and the former snapshot still has the "
            "person. Mend it and erase again:\n  " + "\n  ".join(problems)
        )
    forget_person(settings, person.pseudonyms, wait_seconds=_WAIT_SECONDS)


def _show(found: list[StreamErasure], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(item) for item in found])
        return
    for item in found:
        stdout.print(item.explain(), markup=False, soft_wrap=True)
