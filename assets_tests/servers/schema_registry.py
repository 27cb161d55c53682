"""A schema registry with the Confluent API, over HTTP on 127.0.0.1, that can be made to fail.

Belongs here: the answers that the platform's client asks for. Does not belong here: schemas, or
what is made of the answers.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ConfluentServer(ThreadingHTTPServer):
    """The part of the Confluent API that the platform uses.

    Attributes:
        schemas: of id 1, 2, ...
        by_subject: newest id of each subject.
        requests: method and path of each, in order.
        credentials: ``user:password`` that it wants, if any.
        broken_with: the HTTP status that it answers everything with, if any.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.schemas: list[str] = []
        self.by_subject: dict[str, int] = {}
        self.requests: list[str] = []
        self.credentials: str | None = None
        self.broken_with: int | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ConfluentServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _refused(self) -> bool:
        self.server.requests.append(f"{self.command} {self.path.partition('?')[0]}")
        if self.server.broken_with is not None:
            self._answer(self.server.broken_with, {"error_code": 50001, "message": "broken"})
            return True
        wanted = self.server.credentials
        if wanted is not None:
            expected = "Basic " + base64.b64encode(wanted.encode()).decode()
            if self.headers.get("Authorization") != expected:
                self._answer(401, {"error_code": 401, "message": "Unauthorized"})
                return True
        return False

    def do_GET(self) -> None:
        """Subjects, and schemas by id."""
        if self._refused():
            return
        path = self.path.partition("?")[0]
        if path == "/subjects":
            self._answer(200, sorted(self.server.by_subject))
            return
        if not path.startswith("/schemas/ids/"):
            self._answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})
            return
        number = int(path.rpartition("/")[2])
        if not 1 <= number <= len(self.server.schemas):
            self._answer(404, {"error_code": 40403, "message": "Schema not found"})
            return
        self._answer(200, {"schema": self.server.schemas[number - 1]})

    def do_POST(self) -> None:
        """Register a schema."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        if "incompatible" in body["schema"]:
            self._answer(409, {"error_code": 409, "message": "Schema is incompatible"})
            return
        if body["schema"] not in self.server.schemas:
            self.server.schemas.append(body["schema"])
        number = self.server.schemas.index(body["schema"]) + 1
        self.server.by_subject[self.path.split("/")[2]] = number
        self._answer(200, {"id": number})


@contextmanager
def confluent_server() -> Iterator[ConfluentServer]:
    """A running one."""
    server = ConfluentServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
