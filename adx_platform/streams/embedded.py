"""The broker behind `adx up` and `make demo`: one small process, for this machine only.

It is not durable on acknowledge: a clean stop keeps everything, a killed broker loses what it
acknowledged in its last seconds. Use a real Kafka for anything that matters.

Belongs here: starting, watching and stopping it, from whichever process. Does not belong here:
anything that speaks to a broker as such. Nothing outside this module may know which program it is.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from adx_platform.folder_size import bytes_in
from adx_platform.local_process import LocalProcess, Started, ask_to_stop, wait_until_ended
from adx_platform.settings import KafkaSettings, Settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import BrokerUnreachable, EmbeddedBrokerError

# It keeps a message for seven days by the message's own timestamp: what is simulated in the past
# would be gone at once. Topics that are created on it want these options.
EMBEDDED_TOPIC_CONFIG: Final = {"retention.ms": "-1"}

_HOST: Final = "127.0.0.1"
_PACKAGE: Final = "noida_db"
_POLL_SECONDS: Final = 0.05
_LINGER_SECONDS: Final = 2.0
_IS_WINDOWS: Final = os.name == "nt"


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """Whether the embedded broker runs. ``data_bytes``: size of what it keeps on disk."""

    running: bool
    pid: int | None
    port: int
    bootstrap_servers: str
    data_bytes: int


class EmbeddedBroker:
    """The embedded broker of one data folder.

    Any process may start it, and any other may ask for its status or stop it: what they share is
    the file ``broker.json`` in ``data_dir``.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        log_file: Path,
        *,
        ready_seconds: float = 120.0,
        stop_seconds: float = 30.0,
    ) -> None:
        """Describe the broker; nothing is started.

        Args:
            data_dir: its folder, created at the start.
            port: where it listens, on 127.0.0.1 only.
            log_file: its own output is appended here.
            ready_seconds: how long a start may take; a million kept messages need about 8 s.
            stop_seconds: how long a stop may take before the process is killed.
        """
        self._data_dir = data_dir
        self._port = port
        self._log_file = log_file
        self._ready_seconds = ready_seconds
        self._stop_seconds = stop_seconds

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"{_HOST}:{self._port}"

    def status(self) -> BrokerStatus:
        """Whether the broker of this data folder runs, whoever started it."""
        found = self._process.running()
        port = (found.port if found else None) or self._port
        return BrokerStatus(
            running=found is not None,
            pid=found.pid if found else None,
            port=port,
            bootstrap_servers=f"{_HOST}:{port}",
            data_bytes=bytes_in(self._store),
        )

    def start(self) -> BrokerStatus:
        """Start the broker unless it runs, and wait until it answers. It outlives this process.

        Raises:
            EmbeddedBrokerError: its package is missing, the port is taken, or it does not come up.
        """
        found = self._process.running()
        if found is None:
            program = _program()
            self._require_free_port()
            found = self._spawn(program)
        elif found.port != self._port:
            raise EmbeddedBrokerError(
                f"the embedded broker of {self._data_dir} runs on port {found.port}, not "
                f"{self._port}: stop it with `adx down`, or set ADX_KAFKA__BOOTSTRAP_SERVERS="
                f"{_HOST}:{found.port}"
            )
        self._wait_until_ready(found)
        return self.status()

    def stop(self) -> bool:
        """Stop the broker so that it keeps its messages.

        Returns:
            True if a running broker was stopped, False if none ran.
        """
        process = self._process
        found = process.running()
        if found is not None:
            self._ask_to_stop(found)
            # Killed at last: what was acknowledged in the last seconds is lost then.
            if not wait_until_ended(found, self._stop_seconds):
                raise EmbeddedBrokerError(f"process {found.pid} cannot be stopped")
        process.forget()
        return found is not None

    @property
    def _store(self) -> Path:
        return self._data_dir / "store"

    @property
    def _process(self) -> LocalProcess:
        """The broker's process for every use but starting it."""
        return LocalProcess(
            record=self._data_dir / "broker.json",
            command=(),
            log=self._log_file,
            cwd=self._data_dir,
            port=self._port,
        )

    def _require_free_port(self) -> None:
        # A broker that has just ended, or a client that still tries to reach it, may hold it yet.
        deadline = time.monotonic() + _LINGER_SECONDS
        while (problem := _binding_problem(self._port)) is not None:
            if time.monotonic() >= deadline:
                raise EmbeddedBrokerError(
                    f"port {self._port} is taken by another program: stop that, or choose another "
                    f"with ADX_KAFKA__BOOTSTRAP_SERVERS={_HOST}:<port>"
                ) from problem
            time.sleep(_POLL_SECONDS)

    def _spawn(self, program: Path) -> Started:
        self._store.mkdir(parents=True, exist_ok=True)
        command = (str(program), "start", "--data-dir", str(self._store), "--host", _HOST)
        options = ("--only", "kafka", "--kafka-port", str(self._port))
        return replace(self._process, command=command + options).start()

    def _wait_until_ready(self, found: Started) -> None:
        settings = KafkaSettings(
            bootstrap_servers=self.bootstrap_servers, request_timeout_seconds=1.0
        )
        deadline = time.monotonic() + self._ready_seconds
        with KafkaAdmin(settings) as admin:
            while True:
                if not found.runs:
                    self._process.forget()
                    raise EmbeddedBrokerError(
                        f"the embedded broker ended at once: {self._process.log_tail()}"
                    )
                try:
                    admin.topics()
                except BrokerUnreachable as error:
                    if time.monotonic() >= deadline:
                        raise EmbeddedBrokerError(
                            f"the embedded broker (process {found.pid}) does not answer at "
                            f"{self.bootstrap_servers} after {self._ready_seconds:g} s: "
                            f"{self._process.log_tail()}"
                        ) from error
                else:
                    return

    def _ask_to_stop(self, found: Started) -> None:
        if not _IS_WINDOWS:
            ask_to_stop(found)
            return
        # Windows has no signal that a process can answer by saving; the program's own command can.
        subprocess.run(  # noqa: S603 - our own program and arguments
            [str(_program()), "down", "--data-dir", str(self._store)],
            check=False,
            capture_output=True,
        )


def embedded_broker(settings: Settings) -> EmbeddedBroker:
    """The embedded broker that ``settings`` stand for: its folder and log are under ``home``.

    Raises:
        EmbeddedBrokerError: ``kafka.bootstrap_servers`` is not one address of this machine.
    """
    servers = settings.kafka.bootstrap_servers
    host, _, port = servers.rpartition(":")
    if host not in {_HOST, "localhost"} or not port.isdecimal():
        raise EmbeddedBrokerError(
            f"the embedded broker cannot be at {servers!r}: it listens on {_HOST} only. Unset "
            f"ADX_KAFKA__BOOTSTRAP_SERVERS or set it to {_HOST}:<port>"
        )
    return EmbeddedBroker(
        settings.home / "broker", int(port), settings.home / "logs" / "broker.log"
    )


def _binding_problem(port: int) -> OSError | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if not _IS_WINDOWS:
            # As servers do: connections that linger after a stop are not in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            return error
        return None


def _program() -> Path:
    try:
        folder = files(_PACKAGE)
    except ModuleNotFoundError as error:
        raise EmbeddedBrokerError(
            "the embedded broker is not installed: install this package with its extra "
            "`adx-platform[embedded]`, or set ADX_KAFKA__BOOTSTRAP_SERVERS to a running Kafka"
        ) from error
    name = "noida-db.exe" if _IS_WINDOWS else "noida-db"
    with as_file(folder / name) as program:
        if not program.is_file():
            raise EmbeddedBrokerError(
                f"the embedded broker's package has no program {name} for this kind of machine: "
                "set ADX_KAFKA__BOOTSTRAP_SERVERS to a running Kafka"
            )
        if not os.access(program, os.X_OK):
            program.chmod(program.stat().st_mode | 0o111)
        return program
