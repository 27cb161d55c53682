"""PostgreSQL in the shape of Redshift: the real driver and the real dbt adapter can work with it.

Belongs here: starting the server, its wire and its shim. Does not belong here: what the wire mends
(``redshift_wire``).

It is not Redshift. What it cannot show is listed in docs/redshift.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg2

from assets_tests.servers.ports import free_port
from assets_tests.servers.postgres import Postgres
from assets_tests.servers.redshift_copy import ROLE, S3
from assets_tests.servers.redshift_wire import Wire

_SHIM: Final = Path(__file__).with_name("redshift_shim.sql")


class RedshiftShaped:
    """One server; each database in it has a wire of its own, with its own log."""

    def __init__(self, programs: Path) -> None:
        """Describe it; nothing is started.

        Args:
            programs: PostgreSQL's (``postgres.installed_programs``).
        """
        # Redshift's driver speaks no SCRAM. Redshift's transactions are serializable.
        self._server = Postgres(
            programs,
            free_port(),
            authentication="md5",
            options=("default_transaction_isolation=serializable",),
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._server.start()

    def stop(self) -> None:
        """End it, and delete what it held."""
        self._server.stop()

    def new_cluster(self, name: str, s3_endpoint: str | None = None) -> Cluster:
        """A database that looks like a cluster of its own; COPY reads from ``s3_endpoint``."""
        url = urlsplit(self._server.new_database(name))
        wire = Wire(free_port(), url.port or 0, S3(s3_endpoint) if s3_endpoint else None)
        cluster = Cluster(name, url.username or "", url.password or "", url.port or 0, wire)
        cluster.execute(_SHIM.read_text(encoding="utf-8"))
        wire.start()
        return cluster


class Cluster:
    """One database behind its wire."""

    def __init__(self, name: str, user: str, password: str, upstream: int, wire: Wire) -> None:
        self._name = name
        self._user = user
        self._password = password
        self._upstream = upstream
        self.wire = wire

    @property
    def port(self) -> int:
        """Where the wire listens, on 127.0.0.1."""
        return self.wire.port

    def settings(self) -> dict[str, Any]:
        """The platform's section ``warehouse`` for it."""
        return {
            "engine": "redshift",
            "host": "127.0.0.1",
            "port": self.port,
            "database": self._name,
            "user": self._user,
            "password": self._password,
            "sslmode": "disable",
            "iam_role": ROLE,
        }

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run ``sql`` at PostgreSQL itself, past the wire: what tests look at and break."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self._upstream, user=self._user, password=self._password,
            dbname=self._name,
        )  # fmt: skip
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def stop(self) -> None:
        """Take no further connection."""
        self.wire.stop()
