"""Probes of what the platform has built: warehouse, published marts, incidents.

Belongs here: whether each can be read, and how old it is. Does not belong here: what is in it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb

from adx_platform.errors import AdxError
from adx_platform.pipeline.doctor.probing import Diagnosis, Probe, failed, ok, warning
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.published import (
    NothingPublishedError,
    current_snapshot,
    open_published,
)
from adx_platform.warehouse.redshift_connection import DEFAULT_PORT

OLD_AFTER: Final = timedelta(days=1)
_SHOWN: Final = 5
_CONNECT_SECONDS: Final = 3.0
_DEFAULT_PORTS: Final = {"redshift": DEFAULT_PORT}
_HOLDER: Final = re.compile(r"\(PID (\d+)\)")


def store_probes(settings: Settings, *, now: datetime) -> list[Probe]:
    """Warehouse, published snapshot, incidents; ``now`` is UTC."""
    return [
        Probe("warehouse", lambda: _warehouse(settings)),
        Probe("published marts", lambda: _published(settings, now)),
        Probe("incidents", lambda: _incidents(settings)),
    ]


def _warehouse(settings: Settings) -> Iterator[Diagnosis]:
    if settings.warehouse.engine == "duckdb":
        yield _duckdb(settings.duckdb_path)
    else:
        yield _server(settings)


def _duckdb(path: Path) -> Diagnosis:
    if not path.exists():
        return ok("warehouse", f"{path} will be made by the first load")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        return _unopened(path, str(error))
    with connection:
        try:
            tables = connection.execute("select count(*) from duckdb_tables()").fetchone()
        except duckdb.Error as error:
            return _unopened(path, str(error))
    return ok("warehouse", f"{path}: {tables[0] if tables else 0} tables")


def _unopened(path: Path, said: str) -> Diagnosis:
    if "lock" in said.lower() or "being used by another process" in said:
        holder = _HOLDER.search(said)
        who = f"process {holder[1]}" if holder else "another process"
        return warning(
            "warehouse",
            f"{who} has {path} open, as a load or a build does for seconds",
            f"if it does not let go, look what {who} is, and stop it",
        )
    if "Permission denied" in said:
        return failed(
            "warehouse",
            f"this user may not read {path}",
            "give the file to the user who runs the platform",
        )
    return failed(
        "warehouse",
        f"{path} cannot be opened: {said}",
        "move it away and run `adx build`: it is made again from the lake",
    )


def _server(settings: Settings) -> Diagnosis:
    warehouse = settings.warehouse
    port = warehouse.port or _DEFAULT_PORTS.get(warehouse.engine)
    if not warehouse.host or not port:
        return failed(
            "warehouse",
            f"engine {warehouse.engine} needs an address",
            "set ADX_WAREHOUSE__HOST and ADX_WAREHOUSE__PORT",
        )
    where = f"{warehouse.host}:{port}"
    try:
        socket.create_connection((warehouse.host, port), _CONNECT_SECONDS).close()
    except OSError as error:
        return failed(
            "warehouse",
            f"nothing answers at {where}: {error}",
            "check ADX_WAREHOUSE__HOST and ADX_WAREHOUSE__PORT, and the way there",
        )
    return ok("warehouse", f"{where} takes connections (credentials were not tried)")


def _published(settings: Settings, now: datetime) -> Iterator[Diagnosis]:
    part = "published marts"
    folder = settings.published_dir
    try:
        snapshot = current_snapshot(folder)
        open_published(folder).close()
        made = datetime.fromtimestamp(snapshot.stat().st_mtime, UTC)
    except NothingPublishedError as error:
        yield warning(part, str(error), "run `adx build`, or switch the sensors on")
    except (duckdb.Error, WarehouseError, OSError) as error:
        yield failed(part, f"cannot be read: {error}", "run `adx build`: it publishes anew")
    else:
        age = now - made
        said = f"{snapshot.name}, {_age(age)} old"
        if age > OLD_AFTER:
            yield warning(
                part, said, "is the build switched on? Run `adx build`, or look at its last run"
            )
        else:
            yield ok(part, said)


def _incidents(settings: Settings) -> Iterator[Diagnosis]:
    url = settings.incidents_url.get_secret_value()
    local = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not local.exists():
        # Opening it would make it; looking must change nothing.
        yield ok("incidents", "none was recorded yet")
        return
    try:
        with IncidentStore.open(settings.incidents_url) as store:
            unresolved = store.unresolved()
            lasting = [item for item in store.incidents() if not item.is_over]
    except AdxError as error:
        yield failed("incidents", str(error), "check ADX_INCIDENTS__URL and its database")
        return
    if unresolved:
        named = ", ".join(f"{item.incident_id} ({item.title})" for item in unresolved[:_SHOWN])
        yield warning(
            "incidents",
            f"{len(unresolved)} need a person: {named}",
            "mend them, or take them over with `adx incidents ack`",
        )
    else:
        yield ok("incidents", f"none needs a person; {len(lasting)} last")


def _age(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if age > OLD_AFTER * 2 else f"{hours:.1f} hours"
