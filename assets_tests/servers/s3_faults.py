"""A proxy before an S3 store that answers wrongly, late or not at all where a test says so.

Belongs here: telling the operations of S3 apart, and the faults. Not here: the store, or what the
platform has to do about a fault.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

_HOST: Final = "127.0.0.1"
_CONTROL: Final = "/__faults__"
_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_ERROR: Final = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
_CODES: Final = {
    403: "AccessDenied",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}
_SLOW_PIECES: Final = 4
_SLOW_SECONDS: Final = 0.6


class Operation(StrEnum):
    """What a request is for."""

    PUT = "put"
    PART = "part"
    CREATE = "create multipart"
    COMPLETE = "complete"
    HEAD = "head"
    LIST = "list"
    GET = "get"
    DELETE = "delete"


class Fault(StrEnum):
    """What goes wrong with a request."""

    FORBIDDEN = "403"
    TOO_MANY = "429"
    INTERNAL = "500"
    SLOW_DOWN = "503"
    RESET = "reset"
    """The connection ends before the store has heard of the request."""
    TIMEOUT = "timeout"
    """The store has not heard of it, and nobody answers."""
    SLOW_BODY = "slow body"
    """The answer is right, and comes in pieces; what was sent is taken in pieces as well."""
    TORN_BODY = "torn body"
    """The answer ends halfway."""
    RESET_AFTER = "reset after"
    """The store did it, and the connection ends before it can say so."""


@dataclass(slots=True)
class _Plan:
    operation: Operation
    fault: Fault
    left: int
    happened: int = 0


@dataclass(slots=True)
class _Chance:
    share: float
    faults: Sequence[Fault]
    rng: random.Random
    happened: int = 0


@dataclass(slots=True)
class _State:
    store: str
    hang_seconds: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    plan: _Plan | None = None
    chance: _Chance | None = None
    seen: set[Operation] = field(default_factory=set)

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            happened = sum(item.happened for item in (self.plan, self.chance) if item is not None)
            if "plan" in order:
                operation, fault, times = order["plan"]
                self.plan = _Plan(Operation(operation), Fault(fault), times)
            if "chance" in order:
                share, faults, seed = order["chance"]
                self.chance = _Chance(share, [Fault(f) for f in faults], random.Random(seed))
            if "mend" in order:
                self.plan = self.chance = None
            return {"happened": happened, "seen": sorted(self.seen)}

    def fault_for(self, operation: Operation) -> Fault | None:
        with self.lock:
            self.seen.add(operation)
            chance = self.chance
            if chance is not None and chance.rng.random() < chance.share:
                chance.happened += 1
                return chance.rng.choice(chance.faults)
            plan = self.plan
            if plan is None or plan.operation != operation or plan.left == 0:
                return None
            plan.left -= 1
            plan.happened += 1
            return plan.fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away when they have waited long enough: nothing to print."""


class FaultyS3:
    """The proxy, a process of its own; use it as a context manager.

    In the tests' process it would have to wait for their lock: the Delta client keeps it while it
    waits for some of its answers.
    """

    def __init__(self, store: str, *, hang_seconds: float) -> None:
        """Describe it.

        Args:
            store: the store's ``host:port``.
            hang_seconds: how long ``TIMEOUT`` keeps quiet: longer than the client waits.
        """
        self._command = [sys.executable, __file__, store, str(hang_seconds)]
        self._process: subprocess.Popen[str] | None = None
        self.endpoint = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.endpoint = f"http://{_HOST}:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def break_next(self, operation: Operation, fault: Fault, times: int) -> None:
        """From now on the next ``times`` requests of ``operation`` meet ``fault``."""
        self._control({"plan": [operation.value, fault.value, times]})

    def break_at_random(self, share: float, faults: Sequence[Fault], seed: int) -> None:
        """From now on ``share`` of all requests meet one of ``faults``."""
        self._control({"chance": [share, [fault.value for fault in faults], seed]})

    def mend(self) -> int:
        """Let everything pass again; how many requests met a fault."""
        return int(self._control({"mend": True})["happened"])

    def seen(self) -> set[Operation]:
        """Every operation that was asked for so far."""
        return {Operation(value) for value in self._control({})["seen"]}

    def _control(self, order: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.endpoint}{_CONTROL}", data=json.dumps(order).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def operation_of(method: str, target: str) -> Operation:
    """Which of S3's operations a request is."""
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    if method == "POST":
        return Operation.CREATE if "uploads" in query else Operation.COMPLETE
    if method == "PUT":
        return Operation.PART if "partNumber" in query else Operation.PUT
    if method == "GET":
        return Operation.LIST if "list-type" in query else Operation.GET
    return Operation.HEAD if method == "HEAD" else Operation.DELETE


def _handler(state: _State) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes: the second one waited 40 ms for an acknowledgement.
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

        def do(self) -> None:
            if self.path == _CONTROL:
                order = json.loads(self._body())
                self._answer(200, {}, json.dumps(state.obey(order)).encode())
                return
            fault = state.fault_for(operation_of(self.command, self.path))
            body = self._body(slowly=fault is Fault.SLOW_BODY)
            if fault is Fault.RESET:
                self._drop()
            elif fault is Fault.TIMEOUT:
                time.sleep(state.hang_seconds)
                self._drop()
            elif fault is not None and fault.value.isdigit():
                self._answer(int(fault), {}, _ERROR.format(code=_CODES[int(fault)]).encode())
            else:
                self._forward(body, fault)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do  # noqa: N815 - names of the server's

        def _body(self, *, slowly: bool = False) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                pieces = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            length = int(self.headers.get("content-length", 0))
            if not slowly or not length:
                return self.rfile.read(length)
            size = -(-length // _SLOW_PIECES)
            pieces = []
            for start in range(0, length, size):
                pieces.append(self.rfile.read(min(size, length - start)))
                time.sleep(_SLOW_SECONDS / _SLOW_PIECES)
            return b"".join(pieces)

        def _forward(self, body: bytes, fault: Fault | None) -> None:
            connection = http.client.HTTPConnection(state.store, timeout=60)
            try:
                connection.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                # Host included: the client's signature covers it.
                for name, value in self.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            if fault is Fault.RESET_AFTER:
                self._drop()
                return
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in _HOP_BY_HOP
            }
            # A HEAD tells a length that no body follows.
            told = answer.getheader("content-length") if self.command == "HEAD" else None
            self._answer(answer.status, headers, content, length=told, fault=fault)

        def _answer(
            self,
            status: int,
            headers: dict[str, str],
            content: bytes,
            *,
            length: str | None = None,
            fault: Fault | None = None,
        ) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status not in (204, 304):
                self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if fault is Fault.TORN_BODY:
                self.wfile.write(content[: len(content) // 2])
                self._drop()
            elif fault is Fault.SLOW_BODY:
                size = max(1, -(-len(content) // _SLOW_PIECES))
                for start in range(0, len(content), size):
                    self.wfile.write(content[start : start + size])
                    self.wfile.flush()
                    time.sleep(_SLOW_SECONDS / _SLOW_PIECES)
            else:
                self.wfile.write(content)

        def _drop(self) -> None:
            self.close_connection = True
            try:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    return Handler


def _serve(store: str, hang_seconds: float) -> None:
    server = _Server((_HOST, 0), _handler(_State(store, hang_seconds)))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve(sys.argv[1], float(sys.argv[2]))
