"""The resident process: the loop, its reports to Dagster, its sign of life and its health endpoint.

Belongs here: which threads there are, and the order in which they begin and end. Does not belong
here: what each of them does, or signals and exit codes (``cli``).
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from adx_platform.errors import AdxError
from adx_platform.lake.storage import LakeStorage
from adx_platform.orchestration.daemon_watch import DaemonWatch
from adx_platform.orchestration.follow import STORAGE_ERRORS, FollowReporter
from adx_platform.orchestration.heartbeats import Heartbeat, write_heartbeat
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.pipeline import systemd
from adx_platform.pipeline.follow import Follower
from adx_platform.pipeline.follow_merges import small_files_merged
from adx_platform.pipeline.follow_state import FollowedBatch
from adx_platform.pipeline.health import HealthServer, is_alive
from adx_platform.pipeline.troubles import Trouble
from adx_platform.settings import Settings

logger = logging.getLogger(__name__)

_BEAT_SECONDS: Final = 3.0
_WATCH_EVERY_BEATS: Final = 5


def run_resident(
    settings: Settings,
    stop: threading.Event,
    *,
    streams: Iterable[str] | None = None,
    report: bool = True,
) -> None:
    """Follow the broker until ``stop`` is set, then say goodbye.

    Args:
        settings: the platform's.
        stop: set by whoever wants it to end; the batch at work is finished first.
        streams: names of the streams; by default all.
        report: whether Dagster is told; without it there is no planner to stand by either.

    Raises:
        ValueError: there is no such stream, or the lake's URI has an unknown scheme.
        AdxError: the reference data cannot be read, or the health endpoint cannot listen.
    """
    _Resident(settings, streams, report=report).run(stop)


class _Resident:
    """The process's parts."""

    def __init__(self, settings: Settings, streams: Iterable[str] | None, *, report: bool) -> None:
        self._settings = settings
        self._report = report
        self._reporter: FollowReporter | None = None
        self._follower = Follower(
            settings, streams=streams, on_batch=self._batch, on_trouble=self._trouble
        )

    def run(self, stop: threading.Event) -> None:
        with ExitStack() as parts:
            if self._settings.follow.health_port is not None:
                server = parts.enter_context(HealthServer(self._settings, self._follower.status))
                logger.warning(
                    "health at http://%s:%d", self._settings.follow.health_host, server.port
                )
            instance = (
                parts.enter_context(ensure_instance(self._settings)) if self._report else None
            )
            if instance is not None:
                parts.enter_context(self._reporting(instance))
            parts.enter_context(self._signs_of_life(instance))
            parts.enter_context(
                small_files_merged(
                    LakeStorage.from_settings(self._settings),
                    self._settings.lake,
                    every=self._settings.follow.merge_interval,
                    patience=self._settings.follow.stop_timeout,
                )
            )
            systemd.notify(systemd.READY)
            self._follower.run(stop)
            systemd.notify(systemd.STOPPING)

    @contextmanager
    def _reporting(self, instance: dg.DagsterInstance) -> Iterator[None]:
        self._reporter = FollowReporter(self._settings, instance, status=self._follower.status)
        self._reporter.start()
        try:
            yield
        finally:
            self._reporter.close(self._settings.follow.stop_timeout.total_seconds())

    @contextmanager
    def _signs_of_life(self, instance: dg.DagsterInstance | None) -> Iterator[None]:
        ending = threading.Event()
        thread = threading.Thread(
            target=self._beat, args=(instance, ending), name="adx-heartbeat", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(self._settings.follow.stop_timeout.total_seconds())

    def _beat(self, instance: dg.DagsterInstance | None, ending: threading.Event) -> None:
        """A sign of life every few seconds, as long as the loop itself turns."""
        watch = None if instance is None else DaemonWatch(self._settings, instance)
        is_failing = False
        for beat in itertools.count():
            try:
                self._sign(instance)
                if watch is not None and beat % _WATCH_EVERY_BEATS == 0:
                    watch.tick()
            except (*STORAGE_ERRORS, AdxError) as error:
                if not is_failing:
                    logger.warning("the sign of life failed; ingestion goes on: %s", error)
                is_failing = True
            else:
                is_failing = False
            if ending.wait(_BEAT_SECONDS):
                break
        if instance is not None:
            try:
                write_heartbeat(instance, self._heartbeat(stopped=True))
            except STORAGE_ERRORS as error:
                logger.warning("Dagster was not told that the loop was stopped: %s", error)

    def _sign(self, instance: dg.DagsterInstance | None) -> None:
        """Say that the loop lives, if it does: a process whose loop hangs must not."""
        bound = self._settings.follow.stale_after
        if not is_alive(self._follower.status(), datetime.now(UTC), bound=bound).ok:
            return
        systemd.notify(systemd.ALIVE)
        if instance is not None:
            write_heartbeat(instance, self._heartbeat(stopped=False))

    def _heartbeat(self, *, stopped: bool) -> Heartbeat:
        status = self._follower.status()
        commit = status.last_commit
        return Heartbeat(
            at=datetime.now(UTC).timestamp(),
            host=socket.gethostname(),
            pid=os.getpid(),
            streams=tuple(dict.fromkeys(stream for stream, _ in status.lanes)),
            lanes=len(status.lanes),
            behind=status.behind,
            last_commit=None if commit is None else commit.timestamp(),
            stopped=stopped,
        )

    def _batch(self, batch: FollowedBatch) -> None:
        if self._reporter is not None:
            self._reporter.on_batch(batch)

    def _trouble(self, trouble: Trouble) -> None:
        if self._reporter is not None:
            self._reporter.on_trouble(trouble)
