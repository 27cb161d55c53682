"""The database of the incidents: its tables and how a transaction on it begins.

Belongs here: the schema, the engine, the two kinds of transactions. Does not belong here: queries
(``store``, ``outbox``) or the meaning of a column (``model``).

Nothing but standard SQL is used beside the connection's own options, so that a shared deployment
can put the incidents into Postgres.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from pydantic import SecretStr

from adx_platform.errors import AdxError

BUSY_SECONDS: Final = 30.0
REVISION: Final = 1
"""Of the tables below. Whoever changes a column raises it, and alters what revisions before had."""
_WRITES: Final = "adx_writes"


class IncidentStoreError(AdxError):
    """The incident database cannot be used."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A time in UTC; neither SQLite nor every Postgres column keeps a zone."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: sa.Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Drop the zone, after going to UTC."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: sa.Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Say that it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    # The scope while the incident lasts, then null: the database itself allows one per scope.
    sa.Column("open_scope", sa.Text, unique=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("failing", sa.JSON, nullable=False),
    sa.Column("checks", sa.JSON, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("resolved_at", UtcDateTime),
    sa.Column("windows", sa.JSON, nullable=False),
    sa.Column("remedy", sa.JSON(none_as_null=True)),
    sa.Column("next_attempt_at", UtcDateTime),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("first_pause_seconds", sa.Float, nullable=False),
    sa.Column("watch_for_seconds", sa.Float, nullable=False),
    sa.Column("escalated_at", UtcDateTime),
    sa.Column("acknowledged_at", UtcDateTime),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("incident", sa.ForeignKey("incidents.number"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("remedy", sa.JSON, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("run_id", sa.Text),
    sa.Column("succeeded", sa.Boolean),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("passed_after", sa.Boolean),
    sa.Column("checks", sa.JSON, nullable=False),
)

findings_seen = sa.Table(
    "findings_seen",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("source", sa.String(20), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("windows", sa.JSON, nullable=False),
    sa.Column("remedy", sa.JSON(none_as_null=True)),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("notice_id", sa.String(60), primary_key=True),
    sa.Column("incident", sa.ForeignKey("incidents.number"), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("settled_at", UtcDateTime, index=True),
    sa.UniqueConstraint("incident", "kind"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("notice_id", sa.ForeignKey("notices.notice_id"), primary_key=True),
    sa.Column("channel", sa.String(60), primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("delivered_at", UtcDateTime),
    sa.Column("last_attempt_at", UtcDateTime, nullable=False),
    sa.Column("reason", sa.Text),
)

# Whoever changes something takes this row first: on Postgres that is the lock that BEGIN IMMEDIATE
# is on SQLite, so that reading an incident and writing it back is one step. Its value is the
# revision of the tables.
write_lock = sa.Table(
    "incident_write_lock",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
)


def open_engine(url: SecretStr) -> sa.Engine:
    """Connect, and create the tables that are missing.

    Raises:
        IncidentStoreError: the address is wrong, the database does not answer, or a newer version
            made its tables.
    """
    try:
        address = sa.make_url(url.get_secret_value())
        sqlite = address.get_backend_name() == "sqlite"
        if sqlite and address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            address, connect_args={"timeout": BUSY_SECONDS} if sqlite else {}, pool_pre_ping=True
        )
    except (sa.exc.ArgumentError, ImportError, OSError) as error:
        # SQLAlchemy repeats the address in its message, and the address may hold a password.
        raise IncidentStoreError(
            "the incident database's address cannot be used "
            f"({type(error).__name__}): check ADX_INCIDENTS__URL"
        ) from None
    if sqlite:
        _prepare_sqlite(engine)
    try:
        _ensure_tables(engine)
    except IncidentStoreError:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that changes nothing; it sees one state of the database."""
    with _own_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that no other writer runs beside."""
    with _own_errors(), engine.connect() as plain:
        connection = plain.execution_options(**{_WRITES: True})
        with connection.begin():
            connection.execute(sa.select(write_lock.c.id).with_for_update()).all()
            yield connection


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise IncidentStoreError(
            f"the incident database does not answer ({error.orig}): check that it is reachable, "
            "and ADX_INCIDENTS__URL"
        ) from error


def _ensure_tables(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        if _is_complete(connection):
            return
    with _own_errors(), engine.connect() as plain:
        connection = plain.execution_options(**{_WRITES: True})
        try:
            with connection.begin():
                _create_tables(connection)
        except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
            # On Postgres another process may have created them at the same moment.
            with connection.begin():
                if not _is_complete(connection):
                    raise


def _create_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection)
    if connection.execute(sa.select(write_lock.c.id)).first() is None:
        connection.execute(sa.insert(write_lock).values(id=REVISION))


def _is_complete(connection: sa.Connection) -> bool:
    if not sa.inspect(connection).has_table(write_lock.name):
        return False
    revision = connection.execute(sa.select(write_lock.c.id)).scalar()
    if revision is not None and revision > REVISION:
        raise IncidentStoreError(
            f"the incident database has the tables of a newer adx (revision {revision}, this one "
            f"knows {REVISION}): upgrade this installation"
        )
    return revision is not None


def _prepare_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI object
        # Transactions begin where we say, not where the driver guesses.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"pragma busy_timeout = {int(BUSY_SECONDS * 1000)}")
        # Readers do not wait for the writer.
        cursor.execute("pragma journal_mode = wal")
        cursor.execute("pragma synchronous = normal")
        cursor.execute("pragma foreign_keys = on")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later would find the database locked at the
        # write, without waiting: a writer says so at once.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")
