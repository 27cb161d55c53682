"""`adx incidents`: what is or was wrong, what was tried, and taking it over.

Belongs here: listing, showing, acknowledging. Does not belong here: what an incident is or how it
changes (``quality.incidents``).
"""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.output import print_json, stdout, table
from adx_platform.quality.incidents.model import Attempt, Incident, Remedy, State
from adx_platform.quality.incidents.store import IncidentStore

_app = typer.Typer(
    help="Incidents: list them, read their audit, take one over.", no_args_is_help=True
)
_LASTING = tuple(state for state in State if state != State.RESOLVED)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
IdArgument = Annotated[str, typer.Argument(help="The incident's id, for example INC-0001.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``, as the group `incidents`."""
    app.add_typer(_app, name="incidents")


@_app.command("ls")
def list_them(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Resolved ones, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the incidents that last, newest first."""
    with _store() as store:
        found = store.incidents(states=None if everything else _LASTING, limit=limit)
    if as_json:
        print_json([asdict(incident) for incident in found])
        return
    if not found:
        stdout.print("no incidents" if everything else "no incident lasts")
        return
    heads = ("id", "state", "since (UTC)", "scope", "what failed", "attempts")
    body = [
        [
            incident.incident_id,
            incident.state.value,
            _time(incident.opened_at),
            incident.scope,
            _what_failed(incident),
            f"{len(incident.attempts)}/{incident.budget.max_attempts}",
        ]
        for incident in found
    ]
    stdout.print(table("Incidents", heads, body, text=(2, 3, 4)))


@_app.command("show")
def show(incident_id: IdArgument, *, as_json: JsonOption = False) -> None:
    """Show one incident with its audit: every attempt, and whether the checks passed after it."""
    with _store() as store:
        incident = store.get(incident_id)
    if as_json:
        print_json(asdict(incident))
        return
    for name, value in _facts(incident).items():
        stdout.print(f"{name:>16}  {value}", highlight=False, markup=False, soft_wrap=True)
    if not incident.attempts:
        stdout.print(f"{'attempts':>16}  none was made", highlight=False)
    for attempt in incident.attempts:
        _print_attempt(attempt)


@_app.command("ack")
def acknowledge(
    incident_id: IdArgument,
    *,
    note: Annotated[str | None, typer.Option(help="Why, or what is being done.")] = None,
    by: Annotated[str | None, typer.Option(help="Who; the user of this system if absent.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take an incident over: nothing more is tried, and the standing check is quiet about it."""
    with _store() as store:
        incident = store.acknowledge(
            incident_id, by=by or _this_user(), note=note, now=datetime.now(UTC)
        )
    if as_json:
        print_json(asdict(incident))
        return
    stdout.print(
        f"{incident.incident_id} is acknowledged by {incident.acknowledged_by}; it is resolved "
        "when its checks pass again",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _this_user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # In a container whose user has no name.
        raise WrongUsage("this system's user has no name: say who you are with --by") from None


def _store() -> IncidentStore:
    return IncidentStore.open(checked_settings().incidents_url)


def _what_failed(incident: Incident) -> str:
    """Names of the checks; `adx incidents show` has their assets."""
    keys = incident.failing or incident.checks
    return ", ".join(dict.fromkeys(key.rpartition(":")[2] for key in keys))


def _facts(incident: Incident) -> dict[str, str]:
    facts = {
        "id": incident.incident_id,
        "title": incident.title,
        "scope": incident.scope,
        "state": f"{incident.state.value} ({incident.severity.value})",
        "opened": _time(incident.opened_at),
        "escalated": _time(incident.escalated_at),
        "acknowledged": _taken_over(incident),
        "note": incident.note or "-",
        "resolved": _time(incident.resolved_at),
        "failing": ", ".join(incident.failing) or "-",
        "failed before": ", ".join(k for k in incident.checks if k not in incident.failing) or "-",
        "last said": incident.description,
        "next remedy": "-" if incident.remedy is None else _remedy(incident.remedy),
        "not before": _time(incident.next_attempt_at),
        "budget": f"{len(incident.attempts)} of {incident.budget.max_attempts} attempts",
    }
    return {name: value for name, value in facts.items() if value != "-"}


def _taken_over(incident: Incident) -> str:
    if incident.acknowledged_by is None:
        return "-"
    return f"{_time(incident.acknowledged_at)} by {incident.acknowledged_by}"


def _print_attempt(attempt: Attempt) -> None:
    outcome = {True: "ended well", False: "failed", None: "is at work"}[attempt.succeeded]
    verdict = {True: "its checks passed", False: "its checks still failed", None: "not judged yet"}
    lines = [
        f"attempt {attempt.number}: {_remedy(attempt.remedy)}",
        f"started {_time(attempt.started_at)}, ended {_time(attempt.ended_at)}; {outcome}",
        f"afterwards: {verdict[attempt.passed_after]}",
        *([attempt.detail] if attempt.detail else []),
        *([f"run {attempt.run_id}"] if attempt.run_id else []),
    ]
    for place, line in enumerate(lines):
        indent = "" if place == 0 else "    "
        stdout.print(f"{indent}{line}", highlight=False, markup=False, soft_wrap=True)


def _remedy(remedy: Remedy) -> str:
    parts = [remedy.action.value]
    if remedy.stream is not None:
        parts.append(remedy.stream)
    parts.extend(str(item) for item in remedy.ranges)
    if remedy.reasons:
        parts.append(f"rejects for {', '.join(remedy.reasons)}")
    return " ".join(parts)


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"
