"""Incidents and notices as the store gives them, and a place for alerts to arrive at."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adx_platform.observability import logs
from adx_platform.quality.incidents.model import (
    Action,
    Budget,
    Incident,
    Notice,
    NoticeKind,
    Remedy,
    Severity,
    State,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CHECK = "lake/events/ad_impressions:reject_share"

Answer = int | tuple[int, dict[str, str]] | str


def make_incident(**changes: Any) -> Incident:
    incident = Incident(
        incident_id="INC-0001",
        scope="stream:ad_impressions",
        title="reject_share failed on lake/events/ad_impressions",
        state=State.OPEN,
        severity=Severity.WARNING,
        failing=(CHECK,),
        checks=(CHECK,),
        description="14.2 % of 12,000 messages were rejected, at most 10 % are accepted",
        opened_at=NOON,
        updated_at=NOON,
        remedy=Remedy(Action.REFINE_AGAIN, stream="ad_impressions"),
        budget=Budget(3, timedelta(seconds=20), timedelta(hours=6)),
    )
    return replace(incident, **changes)


def make_notice(kind: NoticeKind = NoticeKind.OPENED, **changes: Any) -> Notice:
    incident = make_incident(**changes)
    return Notice(f"{incident.incident_id}/{kind.value}", kind, incident, NOON)


@dataclass
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class AlertServer:
    """A server that answers as it was told, the last answer again and again.

    Answers: a status, a status with headers, ``hang`` (says nothing) or ``reset``.
    """

    url: str = ""
    answers: list[Answer] = field(default_factory=lambda: [200])
    received: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def alert_server() -> Iterator[AlertServer]:
    state = AlertServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append(Received(self.path, dict(self.headers.items()), body))
            answer = state.next_answer()
            if answer == "hang":
                state.released.wait(20)
                return
            if answer == "reset":
                # Linger 0: closing sends a reset instead of the end of the stream.
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.connection.close()
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            said = b"ok" if status == 200 else b"no thanks"
            self.send_response(status)  # type: ignore[arg-type]  # "reset" is gone
            for name, value in headers.items():  # type: ignore[union-attr]  # "reset" is gone
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def finish(self) -> None:
            if not self.wfile.closed and self.connection.fileno() != -1:
                super().finish()

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    state.released.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def clean_logging() -> Iterator[None]:
    """Undoes what a test configured."""
    level = logging.getLogger().level
    yield
    logs.reset()
    logging.getLogger().setLevel(level)


LogLine = Callable[[], dict[str, Any]]


@pytest.fixture
def ecs_line(clean_logging: None, capsys: pytest.CaptureFixture[str]) -> LogLine:
    """The one line that was written to standard error, as a document."""

    def read() -> dict[str, Any]:
        (line,) = capsys.readouterr().err.splitlines()
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    return read
