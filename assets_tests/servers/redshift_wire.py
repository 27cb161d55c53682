"""A wire between Redshift's driver and PostgreSQL: what each does not know of the other is mended.

Belongs here: the messages of PostgreSQL's protocol, version 3. Does not belong here: which words of
a statement are rewritten (``redshift_sql``), or how files are copied (``redshift_copy``).

The driver ends every group of messages with Sync and then waits for ReadyForQuery, so one thread
for each connection takes turns: a group up, its answers down.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from assets_tests.servers.redshift_copy import S3, Copy, CopyRefusedError, read_statement, rows_of
from assets_tests.servers.redshift_sql import for_postgres

# What Redshift's driver says at the start and PostgreSQL does not know.
_DRIVERS_OWN: Final = frozenset(
    {
        b"client_protocol_version", b"driver_version", b"os_version",
        b"driver_discovery_version", b"plugin_name", b"idp_type", b"provider_name",
    }
)  # fmt: skip
_SSL_REQUEST: Final = 80877103
_CANCEL_REQUEST: Final = 80877102
_SERVER_VERSION: Final = b"server_version\0"
_SERIALIZATION_FAILURE: Final = b"40001"
_LAST_OF_A_GROUP: Final = (b"S", b"Q", b"X")

Message = tuple[bytes, bytes]
Refusal = Callable[[str], str | None]


class _GoneError(Exception):
    """The other side closed the connection."""


@dataclass
class Log:
    """Every statement that came over the wire, as it was sent, in the order of arrival."""

    statements: list[str] = field(default_factory=list)


class Wire:
    """Listens on 127.0.0.1 and passes everything to PostgreSQL."""

    def __init__(self, port: int, upstream: int, store: S3 | None) -> None:
        """Describe it; nothing is opened.

        Args:
            port: where it listens.
            upstream: where PostgreSQL listens.
            store: from where COPY reads; ``None``: COPY is refused.
        """
        self.log = Log()
        self.refusal: Refusal = lambda sql: None
        """Asked before each statement: a text fails it as error 1023, of which it is the detail."""
        self._address = ("127.0.0.1", port)
        self._upstream = ("127.0.0.1", upstream)
        self._store = store
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listen, in threads that end with the process."""
        self._listener = socket.create_server(self._address)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Take no further connection; those that are open end with their clients."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                # A thread that waits in accept() is not woken by close() alone.
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, socket.create_connection(self._upstream) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(_GoneError, OSError):
                _Session(_Stream(client), _Stream(server), self).run()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._address[1]

    @property
    def store(self) -> S3 | None:
        """From where COPY reads."""
        return self._store


class _Stream:
    """One socket as a row of messages."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise _GoneError
        return data

    def message(self) -> Message:
        kind = self.read(1)
        return kind, self.read(struct.unpack("!I", self.read(4))[0] - 4)

    def send(self, *messages: Message) -> None:
        self._connection.sendall(
            b"".join(kind + struct.pack("!I", len(body) + 4) + body for kind, body in messages)
        )

    def send_bytes(self, data: bytes) -> None:
        self._connection.sendall(data)


class _Session:
    """One connection of a client."""

    def __init__(self, client: _Stream, server: _Stream, wire: Wire) -> None:
        self._client = client
        self._server = server
        self._wire = wire
        self._copies: dict[bytes, Copy] = {}
        self._sent: dict[bytes, str] = {}
        self._coming: bytes | CopyRefusedError = b""

    def run(self) -> None:
        if not self._start():
            return
        while True:
            group = self._group()
            if group[-1][0] == b"X":
                self._server.send(*group)
                return
            refused = next((text for m in group if (text := self._refused(m)) is not None), None)
            if refused is not None:
                self._fail(refused)
                continue
            self._server.send(*[self._prepared(message) for message in group])
            self._answer(is_extended=group[-1][0] == b"S")

    def _start(self) -> bool:
        body = self._client.read(struct.unpack("!I", self._client.read(4))[0] - 4)
        code = struct.unpack("!I", body[:4])[0]
        if code == _SSL_REQUEST:
            self._client.send_bytes(b"N")
            return self._start()
        if code == _CANCEL_REQUEST:
            self._server.send_bytes(struct.pack("!I", len(body) + 4) + body)
            return False
        words = body[4:].split(b"\0")
        pairs = [(k, v) for k, v in zip(words[::2], words[1::2], strict=False) if k]
        kept = b"".join(k + b"\0" + v + b"\0" for k, v in pairs if k not in _DRIVERS_OWN)
        start = body[:4] + kept + b"\0"
        self._server.send_bytes(struct.pack("!I", len(start) + 4) + start)
        while True:
            kind, body = self._server.message()
            if kind == b"S" and body.startswith(_SERVER_VERSION):
                body = _SERVER_VERSION + b"8.0.2\0"
            self._client.send((kind, body))
            if kind == b"R" and struct.unpack("!I", body[:4])[0] != 0:
                self._server.send(self._client.message())
            elif kind == b"Z":
                return True
            elif kind == b"E":
                return False

    def _group(self) -> list[Message]:
        """What the client sends up to its Sync; Flush says nothing that Sync does not say."""
        group: list[Message] = []
        while not group or group[-1][0] not in _LAST_OF_A_GROUP:
            message = self._client.message()
            if message[0] != b"H":
                group.append(message)
        return group

    def _refused(self, message: Message) -> str | None:
        """Why the statement that ``message`` executes shall fail; ``None``: it need not."""
        kind, body = message
        if kind == b"B":
            return self._wire.refusal(self._sent.get(body.split(b"\0")[1], ""))
        return None

    def _prepared(self, message: Message) -> Message:
        kind, body = message
        if kind == b"P":
            name, sql, rest = body.split(b"\0", 2)
            return kind, b"\0".join((name, self._statement(name, sql.decode()).encode(), rest))
        if kind == b"Q":
            text = self._statement(b"", body[:-1].decode())
            self._load_copy(b"")
            return kind, text.encode() + b"\0"
        if kind == b"B":
            self._load_copy(body.split(b"\0")[1])
        return message

    def _statement(self, name: bytes, sql: str) -> str:
        self._wire.log.statements.append(sql)
        self._sent[name] = sql
        self._copies.pop(name, None)
        copy = read_statement(_without_comments(sql))
        if copy is None:
            return for_postgres(sql)
        self._copies[name] = copy
        return f"copy {copy.table} from stdin"

    def _load_copy(self, name: bytes) -> None:
        copy = self._copies.get(name)
        if copy is None:
            return
        if self._wire.store is None:
            self._coming = CopyRefusedError("this server has no S3")
            return
        try:
            self._coming = rows_of(copy, self._columns(copy.table), self._wire.store)
        except CopyRefusedError as refused:
            self._coming = refused

    def _columns(self, table: str) -> list[tuple[str, str]]:
        """Name and type of each column; none where the server would not say."""
        return [
            (row[0] or "", row[1] or "")
            for row in self._ask(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute "
                f"where attrelid = to_regclass('{table}') and attnum > 0 and not attisdropped "
                "order by attnum"
            )
        ]

    def _ask(self, sql: str) -> Iterator[list[str | None]]:
        """Run a query of our own in the client's session, between two groups."""
        self._server.send((b"Q", sql.encode() + b"\0"))
        rows = []
        while (message := self._server.message())[0] != b"Z":
            if message[0] == b"D":
                rows.append(_fields(message[1]))
        return iter(rows)

    def _answer(self, *, is_extended: bool) -> None:
        refused: CopyRefusedError | None = None
        while True:
            kind, body = self._server.message()
            if kind == b"G":
                refused = self._send_copied(is_extended=is_extended)
                continue
            if kind == b"E":
                body = _as_redshift(body, refused)
            self._client.send((kind, body))
            if kind == b"Z":
                return

    def _send_copied(self, *, is_extended: bool) -> CopyRefusedError | None:
        # The server overlooks a Sync that comes before the copied rows, so it needs another.
        coming, self._coming = self._coming, b""
        ending = [(b"S", b"")] if is_extended else []
        if isinstance(coming, CopyRefusedError):
            self._server.send((b"f", b"refused\0"), *ending)
            return coming
        self._server.send((b"d", coming), (b"c", b""), *ending)
        return None

    def _fail(self, why: str) -> None:
        """Fail the statement at the server too, so that its transaction is a failed one."""
        self._server.send((b"Q", b"select 1 / 0\0"))
        while True:
            kind, _ = message = self._server.message()
            if kind == b"E":
                self._client.send((b"E", _error(b"XX000", "1023", why)))
            elif kind == b"Z":
                self._client.send(message)
                return


def _fields(body: bytes) -> list[str | None]:
    count, at = struct.unpack("!H", body[:2])[0], 2
    found: list[str | None] = []
    for _ in range(count):
        (length,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        found.append(None if length < 0 else body[at : at + length].decode())
        at += max(length, 0)
    return found


def _as_redshift(body: bytes, refused: CopyRefusedError | None) -> bytes:
    if refused is not None:
        return _error(b"XX000", str(refused))
    if b"C" + _SERIALIZATION_FAILURE + b"\0" in body:
        return _error(
            b"XX000", "1023", "Serializable isolation violation on table - 1, transactions forming"
        )
    return body


def _error(code: bytes, message: str, detail: str = "") -> bytes:
    fields = [b"SERROR", b"C" + code, b"M" + message.encode()]
    if detail:
        fields.append(b"D" + detail.encode())
    return b"\0".join(fields) + b"\0\0"


def _without_comments(sql: str) -> str:
    while sql.lstrip().startswith("/*"):
        sql = sql.partition("*/")[2]
    return sql
