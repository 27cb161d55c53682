"""Probes of Dagster and dbt.

Belongs here: the dbt project and its manifest, the instance, its daemons and sensors. Does not
belong here: the other probes and how they are run (``pipeline.doctor``). Importing this imports
Dagster.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from sqlalchemy.exc import SQLAlchemyError

from adx_platform.orchestration.dbt_project import (
    MANIFEST_NAME,
    ManifestError,
    manifest_is_current,
    project_dir,
)
from adx_platform.orchestration.instance import CONFIG_NAME
from adx_platform.pipeline.doctor.probing import Diagnosis, Probe, failed, ok, warning
from adx_platform.settings import Settings
from adx_platform.warehouse.profiles import DBT_TARGETS

SILENCE: Final = timedelta(minutes=2)
MAKE_MANIFEST: Final = "run `python -m adx_platform.orchestration.dbt_project`"


def orchestration_probes(settings: Settings, *, now: datetime) -> list[Probe]:
    """The dbt profile and manifest, the Dagster instance, its daemons and sensors."""
    return [
        Probe("dbt profile", lambda: _profile(settings)),
        Probe("dbt manifest", lambda: _manifest(settings)),
        Probe("dagster", lambda: _dagster(settings, now)),
    ]


def _profile(settings: Settings) -> Iterator[Diagnosis]:
    part = "dbt profile"
    target = DBT_TARGETS[settings.warehouse.engine]
    try:
        path = project_dir() / "profiles.yml"
    except ManifestError as error:
        yield failed(part, str(error), "set ADX_DBT_PROJECT_DIR to the folder of the dbt project")
        return
    remedy = "bring the file back from the release: it holds no settings of yours"
    try:
        parsed = yaml.safe_load(path.read_text(encoding="utf-8"))
        outputs = parsed["adx"]["outputs"]
    except FileNotFoundError:
        yield failed(part, f"{path} is missing", remedy)
    except (OSError, UnicodeDecodeError) as error:
        yield failed(part, f"{path} cannot be read: {error}", "give this user the right to read it")
    except (yaml.YAMLError, KeyError, TypeError) as error:
        yield failed(part, f"{path} is not a profile: {type(error).__name__}: {error}", remedy)
    else:
        if target in outputs:
            yield ok(part, f"{path}, target {target}")
        else:
            yield failed(part, f"{path} has no target {target}", remedy)


def _manifest(settings: Settings) -> Iterator[Diagnosis]:
    part = "dbt manifest"
    path = settings.dbt_target_dir / MANIFEST_NAME
    if not path.is_file():
        yield failed(part, f"{path} is missing", MAKE_MANIFEST)
        return
    try:
        nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
    except OSError as error:
        yield failed(part, f"{path} cannot be read: {error}", "give this user the right to read it")
        return
    except (ValueError, KeyError, TypeError) as error:
        yield failed(
            part,
            f"{path} is damaged: {type(error).__name__}: {error}",
            f"delete it, and {MAKE_MANIFEST}",
        )
        return
    try:
        current = manifest_is_current(settings)
    except ManifestError as error:
        yield failed(part, str(error), "set ADX_DBT_PROJECT_DIR to the folder of the dbt project")
        return
    if current:
        yield ok(part, f"{len(nodes)} nodes, of the present sources")
    else:
        yield failed(
            part,
            "it is stale: the dbt project, the dbt release or the engine has changed since",
            f"{MAKE_MANIFEST}, then load the code location again",
        )


def _dagster(settings: Settings, now: datetime) -> Iterator[Diagnosis]:
    home = settings.dagster_home
    if not (home / CONFIG_NAME).is_file():
        yield warning("dagster", f"{home} has no {CONFIG_NAME} yet", "`adx up` makes it")
        return
    try:
        with _instance(home) as instance:
            runs = instance.get_runs_count()
            yield ok("dagster", f"{home}, {runs} runs")
            yield _daemons(instance, now)
            yield _sensors(instance, settings, now)
    except (
        dg.DagsterError,
        SQLAlchemyError,
        sqlite3.Error,
        OSError,
        yaml.YAMLError,
    ) as error:
        yield failed(
            "dagster",
            f"{home} cannot be opened: {type(error).__name__}: {error}",
            f"correct {CONFIG_NAME}, or its storage; without them `adx up` makes both anew",
        )


@contextmanager
def _instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _daemons(instance: dg.DagsterInstance, now: datetime) -> Diagnosis:
    beats = {
        name: now - datetime.fromtimestamp(beat.timestamp, UTC)
        for name, beat in instance.get_daemon_heartbeats().items()
    }
    needed = instance.get_required_daemon_types()
    silent = sorted(name for name in needed if beats.get(name, SILENCE * 2) > SILENCE)
    if not beats:
        return warning(
            "daemons", "the daemon has never run here", "`adx up` or `make dev` starts it"
        )
    if silent:
        shown = ", ".join(name.lower() for name in silent)
        return failed(
            "daemons",
            f"no sign of life from {shown}: no sensor, schedule or queued run goes on",
            "`adx up` starts the daemon; its log is in <home>/logs/daemon.log",
        )
    return ok("daemons", f"{len(needed)} alive")


def _last_tick(state: InstigatorState) -> datetime:
    data = state.instigator_data
    at = data.last_tick_start_timestamp if isinstance(data, SensorInstigatorData) else None
    return datetime.fromtimestamp(at or 0, UTC)


def _sensors(instance: dg.DagsterInstance, settings: Settings, now: datetime) -> Diagnosis:
    states = [
        *instance.all_instigator_state(instigator_type=InstigatorType.SENSOR),
        *instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE),
    ]
    stopped = sorted(s.name for s in states if s.status == InstigatorStatus.STOPPED)
    running = [s.name for s in states if s.status == InstigatorStatus.RUNNING]
    if settings.automation == "on":
        if stopped:
            return warning(
                "sensors",
                f"switched off by hand: {', '.join(stopped)}",
                "switch them on in the UI, under Automation",
            )
        return ok("sensors", "on (ADX_AUTOMATION=on); none is switched off")
    if running:
        return ok("sensors", f"{len(running)} switched on by hand")
    # The setting is that of this shell; whoever started the platform may have had another.
    at_work = [s.name for s in states if _last_tick(s) > now - SILENCE]
    if at_work:
        return ok("sensors", f"{len(at_work)} at work, as the platform was started")
    return warning(
        "sensors",
        "none is on: nothing happens by itself",
        "set ADX_AUTOMATION=on and start again, or switch them on in the UI, under Automation",
    )
