"""The health endpoint of the resident loop: /live, /ready and /metrics.

Belongs here: judging a status, and the HTTP around it. Does not belong here: the status itself
(``follow_state``) or its figures (``follow_metrics``).

The endpoint has no authentication and tells no secrets; bind it to an address that only the machine
or the cluster reaches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from adx_platform.errors import AdxError
from adx_platform.pipeline.follow_metrics import metrics_text
from adx_platform.pipeline.follow_state import FollowStatus
from adx_platform.pipeline.troubles import TroubleKind
from adx_platform.settings import Settings

_LOOK_BOUND: Final = timedelta(seconds=30)
_NOT_READY: Final = frozenset({TroubleKind.BROKER, TroubleKind.LAKE})


class HealthError(AdxError):
    """The health endpoint cannot listen where it was told to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all is well, and a sentence that says why not."""

    ok: bool
    text: str


def is_alive(status: FollowStatus, now: datetime, *, bound: timedelta) -> Verdict:
    """Whether the loop turns: if not, only a restart helps.

    Args:
        status: of the loop.
        now: UTC.
        bound: longest time that one turn may take.
    """
    age = now - status.turned_at
    if age > bound:
        return Verdict(False, f"the loop has not turned for {age.total_seconds():.0f} s")
    return Verdict(True, "the loop turns")


def is_ready(status: FollowStatus, now: datetime, *, most_behind: int) -> Verdict:
    """Whether what arrives at the broker is in the lake within moments.

    Args:
        status: of the loop.
        now: UTC.
        most_behind: offsets over all lanes that may wait.
    """
    problems = [
        f"{trouble.where}: {trouble.message}"
        for trouble in status.troubles
        if trouble.kind in _NOT_READY
    ]
    if status.looked_at is None:
        problems.append("the broker has not answered yet")
    elif now - status.looked_at > _LOOK_BOUND:
        problems.append(f"the broker last answered at {status.looked_at.isoformat()}")
    if status.behind > most_behind:
        problems.append(f"{status.behind} offsets wait, more than {most_behind}")
    return Verdict(not problems, "; ".join(problems) or f"{status.behind} offsets wait")


class HealthServer:
    """Answers on ``settings.follow.health_host`` and ``health_port``, in threads of its own."""

    def __init__(
        self,
        settings: Settings,
        status: Callable[[], FollowStatus],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Listen.

        Args:
            settings: the platform's; the port must be set.
            status: asked at every request.
            now: the wall clock, UTC.

        Raises:
            HealthError: the address is taken, or is none of this machine's.
        """
        follow = settings.follow
        lanes = max(1, len(status().lanes))
        handler = _handler(
            status,
            now,
            alive_bound=follow.stale_after,
            most_behind=lanes * settings.ingest.max_records_per_batch,
        )
        try:
            self._server = ThreadingHTTPServer(
                (follow.health_host, follow.health_port or 0), handler
            )
        except OSError as error:
            raise HealthError(
                f"the health endpoint cannot listen on {follow.health_host}:{follow.health_port} "
                f"({error.strerror or error}): set ADX_FOLLOW__HEALTH_HOST and "
                "ADX_FOLLOW__HEALTH_PORT, or leave the port out"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="adx-health", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(
    status: Callable[[], FollowStatus],
    now: Callable[[], datetime],
    *,
    alive_bound: timedelta,
    most_behind: int,
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/live":
                self._verdict(is_alive(status(), now(), bound=alive_bound))
            elif self.path == "/ready":
                self._verdict(is_ready(status(), now(), most_behind=most_behind))
            elif self.path == "/metrics":
                self._answer(
                    HTTPStatus.OK, metrics_text(status(), now()), "text/plain; version=0.0.4"
                )
            else:
                self._answer(HTTPStatus.NOT_FOUND, "ask for /live, /ready or /metrics\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """A probe every few seconds is not worth a line."""

        def _verdict(self, verdict: Verdict) -> None:
            code = HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(code, f"{verdict.text}\n")

        def _answer(
            self, code: HTTPStatus, text: str, content_type: str = "text/plain; charset=utf-8"
        ) -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
