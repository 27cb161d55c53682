"""A connection to Redshift: opening it, statements, transactions, and conflicts that are retried.

Belongs here: what every user of Redshift's driver needs. Does not belong here: tables or rows.

The connection commits each statement by itself, and transactions are begun by name: the driver's
own habit of beginning one at the first statement would leave a reader in a transaction for as long
as it is connected.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import redshift_connector
from redshift_connector.core import Connection
from redshift_connector.cursor import Cursor
from redshift_connector.error import Error as DriverError

from adx_platform.settings_sections import WarehouseSettings
from adx_platform.warehouse.base import WarehouseError

logger = logging.getLogger(__name__)

DEFAULT_PORT: Final = 5439
CONFLICT_ATTEMPTS: Final = 6
_FIRST_PAUSE_SECONDS: Final = 0.2

# Redshift gives error 1023 in the text of a general code (XX000); PostgreSQL gives a code.
_CONFLICT_CODES: Final = frozenset({"40001", "40P01"})
_CONFLICT_WORDS: Final = ("1023", "serializable isolation violation")

Parameters = Mapping[str, Any]
T = TypeVar("T")


class RedshiftConflictError(WarehouseError):
    """A transaction met another one and was undone by the warehouse (error 1023)."""


class RedshiftConnection:
    """One session, in UTC, that runs statements with named parameters (``:name``)."""

    def __init__(self, connection: Connection) -> None:
        """Take over ``connection``; see :func:`connect`."""
        connection.autocommit = True
        self._connection: Connection | None = connection

    def close(self) -> None:
        """Let go of the session; closing twice is fine."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def execute(self, sql: str, parameters: Parameters | None = None) -> None:
        """Run a statement.

        Raises:
            RedshiftConflictError: another transaction was in the way.
            WarehouseError: the warehouse refuses it; the message is the warehouse's.
        """
        self._run(sql, parameters)

    def rows(self, sql: str, parameters: Parameters | None = None) -> list[tuple[Any, ...]]:
        """Every row of a query.

        Raises:
            RedshiftConflictError: another transaction was in the way.
            WarehouseError: the warehouse refuses it; the message is the warehouse's.
        """
        return [tuple(row) for row in self._run(sql, parameters).fetchall()]

    def described_rows(
        self, sql: str, parameters: Parameters | None = None
    ) -> tuple[list[tuple[str, int]], list[tuple[Any, ...]]]:
        """Name and type (an object id of PostgreSQL) of each column of a query, and its rows."""
        cursor = self._run(sql, parameters)
        columns = [(_text(column[0]), int(column[1])) for column in cursor.description or ()]
        return columns, [tuple(row) for row in cursor.fetchall()]

    def number(self, sql: str, parameters: Parameters | None = None) -> int:
        """The one number that a query gives; 0 for none."""
        rows = self.rows(sql, parameters)
        return int(rows[0][0] or 0) if rows else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on success, roll back on any error.

        Raises:
            RedshiftConflictError: the commit met another transaction; nothing was changed.
        """
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        try:
            self.execute("ROLLBACK")
        except WarehouseError as error:
            # The session is lost, and with it the transaction; the first error is what counts.
            logger.warning("the warehouse could not be told to roll back: %s", error)

    def _run(self, sql: str, parameters: Parameters | None) -> Cursor:
        if self._connection is None:
            raise WarehouseError("the connection to the warehouse is closed: open it again")
        cursor = self._connection.cursor()
        cursor.paramstyle = "named"
        try:
            return cursor.execute(sql, dict(parameters) if parameters else None)
        except (DriverError, OSError) as error:
            raise _explained(error) from error


def connect(settings: WarehouseSettings) -> RedshiftConnection:
    """Open a session as ``settings`` say.

    Raises:
        WarehouseError: an address is missing, or the warehouse does not let us in.
    """
    try:
        connection = redshift_connector.connect(**connection_arguments(settings))
    except (DriverError, OSError) as error:
        raise WarehouseError(
            f"Redshift at {settings.host}:{settings.port or DEFAULT_PORT} does not take the "
            f"connection: {_message(error)}. Check ADX_WAREHOUSE__HOST, _PORT, _DATABASE, _USER, "
            "the password or ADX_WAREHOUSE__IAM_AUTH, and that the network lets you in"
        ) from error
    opened = RedshiftConnection(connection)
    opened.execute("SET timezone TO 'UTC'")
    return opened


def connection_arguments(settings: WarehouseSettings) -> dict[str, Any]:
    """What Redshift's driver is given; the password is among it.

    Raises:
        WarehouseError: a setting that the way of logging in needs is missing.
    """
    ssl = settings.sslmode != "disable"
    arguments: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port or DEFAULT_PORT,
        "database": settings.database,
        "ssl": ssl,
        # The driver knows two modes; `require` is the weaker one, as in dbt's adapter.
        "sslmode": "verify-full" if settings.sslmode == "verify-full" else "verify-ca",
        # No `timeout`: the driver keeps it for the session, and a COPY or a VACUUM that takes
        # longer would be cut off. Keep-alives, which are on, tell a connection that is dead.
        "application_name": "adx",
    }
    if settings.iam_auth:
        return arguments | _iam_arguments(settings)
    if settings.host is None or settings.user is None or settings.password is None:
        raise WarehouseError(
            "Redshift needs ADX_WAREHOUSE__HOST, ADX_WAREHOUSE__USER and ADX_WAREHOUSE__PASSWORD; "
            "or set ADX_WAREHOUSE__IAM_AUTH=true for temporary passwords from AWS"
        )
    password = settings.password.get_secret_value()
    return arguments | {"user": settings.user, "password": password}


def _iam_arguments(settings: WarehouseSettings) -> dict[str, Any]:
    if (settings.cluster_id is None) == (settings.workgroup is None):
        raise WarehouseError(
            "ADX_WAREHOUSE__IAM_AUTH needs one of ADX_WAREHOUSE__CLUSTER_ID (a provisioned "
            "cluster) and ADX_WAREHOUSE__WORKGROUP (serverless)"
        )
    if settings.user is None or settings.host is None:
        raise WarehouseError(
            "ADX_WAREHOUSE__IAM_AUTH needs ADX_WAREHOUSE__HOST, and in ADX_WAREHOUSE__USER the "
            "database user that the temporary password is for"
        )
    return {
        "iam": True,
        "db_user": settings.user,
        "user": "",
        "password": "",
        "profile": settings.iam_profile,
        "region": settings.region,
        "cluster_identifier": settings.cluster_id,
        "is_serverless": settings.workgroup is not None,
        "serverless_work_group": settings.workgroup,
    }


def retried(work: Callable[[], T], *, attempts: int = CONFLICT_ATTEMPTS) -> T:
    """Do ``work``, and do it again when another transaction was in its way.

    ``work`` is a whole transaction: after a conflict nothing of it is left. The pauses double and
    differ by chance, so that two that met do not meet again.

    Raises:
        RedshiftConflictError: it met another transaction each time.
    """
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(1, attempts):
        try:
            return work()
        except RedshiftConflictError as error:
            logger.warning("attempt %d of %d met a conflict: %s", attempt, attempts, error)
            time.sleep(pause * (0.5 + random.random()))  # noqa: S311 no secret
            pause *= 2
    return work()


def quoted(text: str) -> str:
    """``text`` as a literal of SQL, for statements that take no parameters."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def name_of(text: str) -> str:
    """``text`` as a quoted identifier."""
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def marks(rows: Sequence[Sequence[object]]) -> tuple[str, dict[str, object]]:
    """The ``VALUES`` list of ``rows`` with named parameters, and the parameters."""
    texts: list[str] = []
    values: dict[str, object] = {}
    for number, row in enumerate(rows):
        names = [f"v{number}_{position}" for position in range(len(row))]
        values.update(zip(names, row, strict=True))
        texts.append(f"({', '.join(f':{name}' for name in names)})")
    return ", ".join(texts), values


def _explained(error: Exception) -> WarehouseError:
    message = _message(error)
    if _is_conflict(error, message):
        return RedshiftConflictError(
            f"another transaction was in the way ({message}); nothing was changed: run again"
        )
    return WarehouseError(f"Redshift refuses: {message}")


def _is_conflict(error: Exception, message: str) -> bool:
    if _field(error, "C") in _CONFLICT_CODES:
        return True
    lowered = message.lower()
    return lowered.startswith(_CONFLICT_WORDS[0]) or _CONFLICT_WORDS[1] in lowered


def _message(error: Exception) -> str:
    parts = [part for part in (_field(error, "M"), _field(error, "D")) if part]
    return ": ".join(parts) if parts else str(error)


def _field(error: Exception, name: str) -> str:
    """A field of the server's answer, which the driver gives as a dictionary."""
    answer = error.args[0] if error.args else None
    return str(answer.get(name, "")) if isinstance(answer, dict) else ""


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
