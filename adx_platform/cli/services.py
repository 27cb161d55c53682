"""`adx up`, `adx down`, `adx status`: the services of a local installation.

Belongs here: which programs run and on which ports. Does not belong here: how a detached process is
kept (``local_process``) or what the broker is (``streams.embedded``).
"""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from adx_platform.cli.output import print_json, stderr, stdout, table
from adx_platform.errors import AdxError
from adx_platform.local_process import LocalProcess, ask_to_stop, wait_until_ended
from adx_platform.settings import KafkaSettings, Settings, current_settings
from adx_platform.streams.embedded import (
    EMBEDDED_TOPIC_CONFIG,
    EmbeddedBroker,
    embedded_broker,
)

_HOST = "127.0.0.1"
_READY_SECONDS = 90.0
_STOP_SECONDS = 15.0
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
        stdout.print(f"UI       http://{_HOST}:{ui_port}")
    stdout.print("stop with: adx down")


def down() -> None:
    """Stop what `adx up` started; the broker keeps its messages."""
    settings = current_settings()
    stopped = [
        name for name, process in _dagster_processes(settings, None).items() if _stop(process)
    ]
    broker = local_broker(settings)
    if broker is not None and broker.stop():
        stopped.append("broker")
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
    for name, process in _dagster_processes(settings, None).items():
        started = process.running()
        port = started.port if started else None
        rows.append(
            {
                "service": name,
                "running": started is not None,
                "pid": started.pid if started else None,
                "address": f"http://{_HOST}:{port}" if port else None,
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


def local_broker(settings: Settings) -> EmbeddedBroker | None:
    """The embedded broker, or None where the settings name a broker on other machines."""
    host = settings.kafka.bootstrap_servers.rpartition(":")[0]
    plain = settings.kafka.security_protocol == "PLAINTEXT"
    if settings.profile != "local" or not plain or host not in {_HOST, "localhost"}:
        return None
    return embedded_broker(settings)


def topic_config(settings: Settings) -> dict[str, str] | None:
    """Options of topics that we create: the embedded broker's own, else the broker's defaults."""
    return None if local_broker(settings) is None else EMBEDDED_TOPIC_CONFIG


def running_broker(settings: Settings) -> tuple[EmbeddedBroker | None, bool]:
    """Make sure that a broker answers, starting the embedded one where that is the one.

    Returns:
        The embedded broker, or None where the user's own is used; and whether this call has started
        it: then the caller stops it.
    """
    broker = local_broker(settings)
    if broker is None or _is_users_own(settings.kafka, broker):
        return None, False
    if broker.status().running:
        return broker, False
    broker.start()
    return broker, True


def _is_users_own(kafka: KafkaSettings, broker: EmbeddedBroker) -> bool:
    """Whether another broker listens at an address of this machine that the user chose."""
    if "bootstrap_servers" not in kafka.model_fields_set or broker.status().running:
        return False
    host, _, port = kafka.bootstrap_servers.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0


def _dagster_processes(settings: Settings, ui_port: int | None) -> dict[str, LocalProcess]:
    """The two Dagster programs; ``ui_port`` matters only for starting."""
    root = _installation()
    bin_dir = Path(sys.executable).parent
    suffix = ".exe" if os.name == "nt" else ""
    environment = {
        "DAGSTER_HOME": str(settings.dagster_home),
        "ADX_HOME": str(settings.home),
        "PATH": os.pathsep.join((str(bin_dir), os.environ.get("PATH", ""))),
    }
    workspace = str(root / "workspace.yaml")
    webserver = [str(bin_dir / f"dagster-webserver{suffix}"), "-h", _HOST, "-w", workspace]
    daemon = [str(bin_dir / f"dagster-daemon{suffix}"), "run", "-w", workspace]
    return {
        "webserver": LocalProcess(
            record=settings.home / "run" / "webserver.json",
            command=[*webserver, "-p", str(ui_port)],
            log=settings.home / "logs" / "webserver.log",
            cwd=root,
            port=ui_port,
            environment=environment,
        ),
        "daemon": LocalProcess(
            record=settings.home / "run" / "daemon.json",
            command=daemon,
            log=settings.home / "logs" / "daemon.log",
            cwd=root,
            environment=environment,
        ),
    }


def _installation() -> Path:
    """The folder with ``workspace.yaml``: this checkout, or where ``ADX_WORKSPACE_DIR`` says."""
    configured = os.environ.get("ADX_WORKSPACE_DIR")
    root = Path(configured).absolute() if configured else Path(__file__).resolve().parents[2]
    if not (root / "workspace.yaml").is_file():
        raise AdxError(
            f"no workspace.yaml in {root}: set ADX_WORKSPACE_DIR to the folder that has it"
        )
    return root


def _start_dagster(settings: Settings, ui_port: int) -> None:
    # Dagster takes two seconds to import: only the commands that need it do so.
    from adx_platform.orchestration.dbt_project import ensure_manifest  # noqa: PLC0415
    from adx_platform.orchestration.instance import ensure_instance  # noqa: PLC0415

    ensure_manifest(settings)
    ensure_instance(settings).dispose()
    processes = _dagster_processes(settings, ui_port)
    for process in processes.values():
        if process.running() is None:
            _require_free(process.port)
            process.start()
    _wait_for_ui(processes["webserver"])


def _require_free(port: int | None) -> None:
    if port is None:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise AdxError(
                f"port {port} is taken by another program: stop that, or choose another with "
                "`adx up --ui-port`"
            ) from error


def _wait_for_ui(webserver: LocalProcess) -> None:
    started = webserver.running()
    url = f"http://{_HOST}:{started.port if started else webserver.port}/server_info"
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


def _stop(process: LocalProcess) -> bool:
    started = process.running()
    if started is not None:
        # The daemon and the webserver start code servers: the whole session is asked.
        ask_to_stop(started, group=True)
        wait_until_ended(started, _STOP_SECONDS)
    process.forget()
    return started is not None
