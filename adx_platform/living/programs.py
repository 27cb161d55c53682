"""The programs of a local installation: their commands, records, logs and environment.

Belongs here: what is run and how it is recognised later. Does not belong here: when
(``supervisor``, ``cli.services``), or how a detached process is kept (``local_process``).
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adx_platform.errors import AdxError
from adx_platform.local_process import LocalProcess
from adx_platform.settings import Settings

HOST: Final = "127.0.0.1"
DEFINITIONS: Final = "adx_platform.definitions"
_LOCATION: Final = "adx_platform"
CODE, WEBSERVER, DAEMON, MARKET, INGEST, SUPERVISOR = (
    "code",
    "webserver",
    "daemon",
    "market",
    "ingest",
    "supervisor",
)


@dataclass(frozen=True, slots=True)
class MarketOptions:
    """How the market of `adx dev` runs: the options of `adx simulate --follow`."""

    seed: int
    speed: float
    per_hour: int
    history_days: float

    @property
    def arguments(self) -> list[str]:
        """As the command line takes them."""
        return [
            f"--seed={self.seed}",
            f"--speed={self.speed:g}",
            f"--per-hour={self.per_hour}",
            f"--history-days={self.history_days:g}",
        ]


def installation() -> Path:
    """The folder with ``workspace.yaml``: this checkout, or where ``ADX_WORKSPACE_DIR`` says.

    Raises:
        AdxError: there is no such file.
    """
    configured = os.environ.get("ADX_WORKSPACE_DIR")
    root = Path(configured).absolute() if configured else Path(__file__).resolve().parents[2]
    if not (root / "workspace.yaml").is_file():
        raise AdxError(
            f"no workspace.yaml in {root}: set ADX_WORKSPACE_DIR to the folder that has it"
        )
    return root


def dagster_programs(
    settings: Settings, ui_port: int | None = None, code_port: int | None = None
) -> dict[str, LocalProcess]:
    """Dagster's programs, in the order of their start; the ports matter only for starting.

    The definitions have a server of their own. From a workspace that names a module, the daemon
    loads them anew every minute, in yet another process: ten seconds of CPU each time, in which no
    sensor ticks and no run starts (2026-11, two cores).
    """
    workspace = str(_workspace(settings))
    webserver = [_program("dagster-webserver"), "-h", HOST, "-w", workspace]
    code = [_program("dagster"), "code-server", "start", "-h", HOST, "-p", str(code_port)]
    code += ["-m", DEFINITIONS, "--location-name", _LOCATION]
    return {
        CODE: _process(settings, CODE, code, port=code_port),
        WEBSERVER: _process(settings, WEBSERVER, [*webserver, "-p", str(ui_port)], port=ui_port),
        DAEMON: _process(settings, DAEMON, [_program("dagster-daemon"), "run", "-w", workspace]),
    }


def write_workspace(settings: Settings, code_port: int) -> None:
    """Write down for the web server and the daemon where the definitions are served."""
    server = {"host": HOST, "port": code_port, "location_name": _LOCATION}
    target = _workspace(settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")


def is_listening(port: int) -> bool:
    """Whether a program answers on ``port``."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def market_program(settings: Settings, options: MarketOptions) -> LocalProcess:
    """The market that goes on."""
    return _process(settings, MARKET, [_program("adx"), "simulate", "--follow", *options.arguments])


def ingest_program(
    settings: Settings, *, health_port: int | None, environment: Mapping[str, str]
) -> LocalProcess:
    """The resident loop; ``environment`` is added to what it inherits."""
    own = dict(environment)
    if health_port is not None:
        own["ADX_FOLLOW__HEALTH_PORT"] = str(health_port)
    return _process(
        settings,
        INGEST,
        [_program("adx"), "ingest", "--follow"],
        port=health_port,
        environment=own,
    )


def dev_program(settings: Settings, arguments: tuple[str, ...]) -> LocalProcess:
    """`adx dev` itself, for whoever drills it; it keeps its own record."""
    return _process(settings, "dev", [_program("adx"), "dev", *arguments])


def records(settings: Settings) -> dict[str, LocalProcess]:
    """Every program that a record may exist of, to find and stop it; the supervisor first."""
    return {
        name: _process(settings, name, ())
        for name in (SUPERVISOR, MARKET, INGEST, DAEMON, WEBSERVER, CODE)
    }


def require_free(port: int | None, how: str = "`adx up --ui-port`") -> None:
    """Raise an error that names ``port`` if another program listens there.

    Raises:
        AdxError: it is taken.
    """
    if port is None:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise AdxError(
                f"port {port} is taken by another program: stop that, or choose another with {how}"
            ) from error


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _workspace(settings: Settings) -> Path:
    # JSON is YAML, too.
    return settings.home / "run" / "workspace.yaml"


def _process(
    settings: Settings,
    name: str,
    command: list[str] | tuple[str, ...],
    *,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> LocalProcess:
    bin_dir = Path(sys.executable).parent
    return LocalProcess(
        record=settings.home / "run" / f"{name}.json",
        command=command,
        log=settings.home / "logs" / f"{name}.log",
        cwd=installation(),
        port=port,
        environment={
            "DAGSTER_HOME": str(settings.dagster_home),
            "ADX_HOME": str(settings.home),
            "PATH": os.pathsep.join((str(bin_dir), os.environ.get("PATH", ""))),
            **(environment or {}),
        },
    )


def _program(name: str) -> str:
    suffix = ".exe" if os.name == "nt" else ""
    return str(Path(sys.executable).parent / f"{name}{suffix}")
