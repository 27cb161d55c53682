"""`adx up`, `adx down`, `adx status`: the services of a local installation.

Belongs here: which programs run and on which ports. Does not belong here: how a detached process is
kept (``local_process``) or what the broker is (``streams.embedded``).
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Annotated

import typer

from adx_platform.cli.output import print_json, stderr, stdout, table
from adx_platform.errors import AdxError
from adx_platform.living.brokers import local_broker, running_broker
from adx_platform.living.programs import (
    CODE,
    HOST,
    WEBSERVER,
    dagster_programs,
    free_port,
    is_listening,
    require_free,
    write_workspace,
)
from adx_platform.living.stopping import stop_home
from adx_platform.local_process import LocalProcess
from adx_platform.settings import Settings, current_settings

_READY_SECONDS = 90.0
DEFAULT_UI_PORT = 3000

PortOption = Annotated[
    int, typer.Option(help="Port of the Dagster UI on 127.0.0.1.", envvar="ADX_UI_PORT")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)


def up(
    ui_port: PortOption = DEFAULT_UI_PORT,
    *,
    ui: Annotated[bool, typer.Option(help="Start the Dagster UI and daemon, too.")] = True,
) -> None:
    """Start the local services in the background: the broker, the Dagster UI and daemon.

    The embedded broker is started only where no other is configured.
    """
    settings = current_settings()
    broker, _ = running_broker(settings)
    pid = broker.status().pid if broker else None
    owner = f"embedded, process {pid}" if pid else "your own"
    stdout.print(f"broker   {settings.kafka.bootstrap_servers} ({owner})")
    if ui:
        _start_dagster(settings, ui_port)
        stdout.print(f"UI       http://{HOST}:{ui_port}")
    stdout.print("stop with: adx down")


def down() -> None:
    """Stop what `adx up` or `adx dev` started; the broker keeps its messages."""
    settings = current_settings()
    stopped = stop_home(settings)
    stdout.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False
) -> None:
    """Say which local services run. The exit code is 1 if one of them does not."""
    settings = current_settings()
    rows: list[dict[str, object]] = []
    broker = local_broker(settings)
    if broker is not None:
        found = broker.status()
        rows.append(
            {
                "service": "broker",
                "running": found.running,
                "pid": found.pid,
                "address": found.bootstrap_servers,
            }
        )
    for name, process in dagster_programs(settings).items():
        started = process.running()
        port = started.port if started else None
        scheme = "http://" if name == WEBSERVER else ""
        rows.append(
            {
                "service": name,
                "running": started is not None,
                "pid": started.pid if started else None,
                "address": f"{scheme}{HOST}:{port}" if port else None,
            }
        )
    if as_json:
        print_json(rows)
    else:
        names = ("service", "running", "pid", "address")
        stdout.print(
            table(
                f"Local services under {settings.home}",
                names,
                [[str(row[n] or "-") if n == "pid" else row[n] for n in names] for row in rows],
                text=range(len(names)),
            )
        )
    if not all(row["running"] for row in rows):
        raise typer.Exit(1)


def _start_dagster(settings: Settings, ui_port: int) -> None:
    # Dagster takes two seconds to import: only the commands that need it do so.
    from adx_platform.orchestration.dbt_project import ensure_manifest  # noqa: PLC0415 - slow
    from adx_platform.orchestration.instance import ensure_instance  # noqa: PLC0415 - slow

    ensure_manifest(settings)
    ensure_instance(settings).dispose()
    served = dagster_programs(settings)[CODE].running()
    code_port = served.port if served and served.port else free_port()
    write_workspace(settings, code_port)
    processes = dagster_programs(settings, ui_port, code_port)
    for name, process in processes.items():
        if process.running() is None:
            require_free(process.port)
            process.start()
            if name == CODE:
                _wait_for_definitions(process, code_port)
    _wait_for_ui(processes[WEBSERVER])


def _wait_for_definitions(code: LocalProcess, port: int) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    with stderr.status("waiting for the definitions"):
        while not is_listening(port):
            if code.running() is None or time.monotonic() >= deadline:
                raise AdxError(f"the definitions cannot be loaded: {code.log_tail()}")
            time.sleep(0.2)


def _wait_for_ui(webserver: LocalProcess) -> None:
    started = webserver.running()
    url = f"http://{HOST}:{started.port if started else webserver.port}/server_info"
    deadline = time.monotonic() + _READY_SECONDS
    with stderr.status("waiting for the Dagster UI"):
        while True:
            if webserver.running() is None:
                raise AdxError(f"the Dagster UI ended at once: {webserver.log_tail()}")
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if time.monotonic() >= deadline:
                    raise AdxError(
                        f"the Dagster UI does not answer at {url}: {webserver.log_tail()}"
                    ) from error
            time.sleep(0.2)
