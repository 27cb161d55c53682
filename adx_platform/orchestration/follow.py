"""Telling Dagster what the resident loop does, without runs: materialisations and check results.

Belongs here: adding up batches between two reports, and writing them to the instance from a thread
of its own. Does not belong here: the loop (``pipeline.follow``), or the checks (``checks_lake``,
``broker_check``).

Ingestion never waits for this: the loop only adds to the totals, whose size is bounded, and a
storage that fails or is slow makes a report late, not wrong. What could not be reported is in the
next report.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as TargetMaterialization,
)
from sqlalchemy.exc import SQLAlchemyError

from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.lake.errors import LakeError
from adx_platform.orchestration.broker_check import broker_evaluation, broker_trouble
from adx_platform.orchestration.checks_integrity import integrity_results
from adx_platform.orchestration.checks_lake import lake_results
from adx_platform.orchestration.lake_metadata import (
    LAYERS,
    BatchTotals,
    layer_metadata,
    layer_version,
)
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.follow_state import FollowedBatch, FollowStatus
from adx_platform.pipeline.troubles import Trouble, TroubleKind
from adx_platform.settings import Settings
from adx_platform.streams.lanes import lane_key

logger = logging.getLogger(__name__)

STORAGE_ERRORS: Final = (SQLAlchemyError, sqlite3.Error, dg.DagsterError, OSError)
"""What Dagster's storage fails with."""

_TICK_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
# A check that nobody repeats looks forgotten; one at every report would be half the event log.
_REPEAT_BROKER_SECONDS: Final = 300.0

Checks = Callable[[Line, Stream, int], Iterable[dg.AssetCheckResult]]


def live_results(line: Line, stream: Stream, tail: int) -> Iterable[dg.AssetCheckResult]:
    """The checks that the loop repeats after its batches."""
    return chain(lake_results(line, stream, tail=tail), integrity_results(line, stream))


class FollowReporter:
    """Reports to one instance. ``on_batch`` and ``on_trouble`` are called by the loop's thread."""

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        *,
        status: Callable[[], FollowStatus],
        checks: Checks = live_results,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Report nothing yet.

        Args:
            settings: the platform's.
            instance: where to report.
            status: of the loop.
            checks: results of the lake's checks of a stream over the last offsets.
            now: the wall clock, UTC.
            clock: seconds that only go forward.
        """
        self._settings = settings
        self._instance = instance
        self._line = Line(settings)
        self._status = status
        self._checks = checks
        self._now = now
        self._clock = clock
        self._interval = settings.follow.report_interval.total_seconds()
        self._check_interval = settings.follow.check_interval.total_seconds()
        self._passed_until: dict[dg.AssetCheckKey, float] = {}
        self._lock = threading.Lock()
        self._totals: dict[str, dict[int, BatchTotals]] = {}
        self._recreated: dict[str, Trouble] = {}
        self._due: dict[str, float] = {}
        self._failing: set[str] = set()
        self._broker_said: dict[str, tuple[str, float]] = {}
        self._failures = 0
        self._retry_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="adx-report", daemon=True)

    def on_batch(self, batch: FollowedBatch) -> None:
        """Add a batch to what is reported next."""
        report = batch.report
        with self._lock:
            lanes = self._totals.setdefault(report.stream, {})
            lanes.setdefault(report.lane, BatchTotals()).add(report, batch.latency)

    def on_trouble(self, trouble: Trouble) -> None:
        """Remember what a look at the lasting troubles would not find."""
        if trouble.kind is TroubleKind.RECREATED and trouble.stream is not None:
            with self._lock:
                self._recreated[trouble.stream] = trouble

    def start(self) -> None:
        """Report from now on, in a thread."""
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Report what is left, within ``timeout`` seconds, and end the thread."""
        self._stop.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("Dagster's storage is slow: the last report was not written in time")

    def tick(self, *, at_once: bool = False) -> None:
        """Report what is due; with ``at_once`` whatever there is."""
        if not at_once and self._clock() < self._retry_at:
            return
        try:
            for name in self._streams():
                self._report_broker(name)
                if at_once or self._is_due(name):
                    self._report_stream(STREAMS[name], at_once=at_once)
        except STORAGE_ERRORS as error:
            self._failures += 1
            pause = min(_LONGEST_PAUSE_SECONDS, 2.0**self._failures)
            self._retry_at = self._clock() + pause
            if self._failures == 1:
                logger.warning("Dagster's storage failed; ingestion goes on: %s", error)
        else:
            if self._failures:
                logger.warning("Dagster's storage works again")
            self._failures = 0

    def _run(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            self.tick()
        self.tick(at_once=True)

    def _streams(self) -> list[str]:
        return list(dict.fromkeys(stream for stream, _ in self._status().lanes))

    def _is_due(self, stream: str) -> bool:
        with self._lock:
            has_news = bool(self._totals.get(stream))
        # A failing check is repeated without news too: it may have been mended meanwhile.
        return (has_news or stream in self._failing) and self._clock() >= self._due.get(stream, 0)

    def _report_broker(self, stream: str) -> None:
        status, now = self._status(), self._now()
        if status.looked_at is None and not status.troubles:
            return
        with self._lock:
            recreated = self._recreated.get(stream)
        trouble = recreated or broker_trouble(status, stream, now)
        if trouble is None and any(
            item.stream in {None, stream} and item.kind is TroubleKind.BROKER
            for item in status.troubles
        ):
            # Not long enough to be an alarm, and not over either.
            return
        evaluation = broker_evaluation(stream, trouble)
        said, at = self._broker_said.get(stream, ("", 0.0))
        wording = "" if trouble is None else f"{trouble.kind} {trouble.since.isoformat()}"
        wording = wording or "there"
        if wording == said and self._clock() < at + _REPEAT_BROKER_SECONDS:
            return
        self._instance.report_runless_asset_event(evaluation)
        self._broker_said[stream] = (wording, self._clock())
        if recreated is not None:
            with self._lock:
                self._recreated.pop(stream, None)

    def _report_stream(self, stream: Stream, *, at_once: bool) -> None:
        with self._lock:
            lanes = self._totals.pop(stream.name, {})
        if not lanes and (at_once or stream.name not in self._failing):
            return
        self._due[stream.name] = self._clock() + self._interval
        try:
            for lane in sorted(lanes):
                self._report_lane(stream, lane, lanes[lane])
                del lanes[lane]
        finally:
            self._give_back(stream.name, lanes)
        self._report_checks(stream)

    def _report_lane(self, stream: Stream, lane: int, totals: BatchTotals) -> None:
        for layer, key_of in LAYERS.items():
            version = layer_version(layer, totals)
            self._instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    key_of(stream.name),
                    partition=lane_key(lane),
                    metadata=layer_metadata(self._settings, stream, layer, totals),
                    tags={} if version is None else {"dagster/data_version": str(version)},
                )
            )

    def _report_checks(self, stream: Stream) -> None:
        try:
            results = list(
                self._checks(self._line, stream, self._settings.quality.live_tail_offsets)
            )
        except LakeError as error:
            # The store is away: the loop says so itself, and the next report tries again.
            logger.warning("the checks of %s could not be run: %s", stream.name, error)
            self._failing.add(stream.name)
            return
        targets = {
            key_of(stream.name): self._newest(key_of(stream.name)) for key_of in LAYERS.values()
        }
        for result in results:
            if result.asset_key is None or result.check_name is None:
                raise ValueError("a check result of the loop must name its asset and its check")
            key = dg.AssetCheckKey(result.asset_key, result.check_name)
            if result.passed and self._clock() < self._passed_until.get(key, 0.0):
                continue
            self._instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=result.asset_key,
                    check_name=result.check_name,
                    passed=result.passed,
                    severity=result.severity,
                    description=result.description,
                    metadata=_slim(result),
                    target_materialization_data=targets.get(result.asset_key),
                )
            )
            # Every result is three rows of Dagster's SQLite storage: a pass that only repeats the
            # last one is worth a row a minute. A failure is told each time.
            self._passed_until[key] = self._clock() + self._check_interval if result.passed else 0.0
        if all(result.passed for result in results):
            self._failing.discard(stream.name)
        else:
            self._failing.add(stream.name)

    def _newest(self, key: dg.AssetKey) -> TargetMaterialization | None:
        """The materialisation that a check result is about: Dagster shows the two together."""
        records = self._instance.fetch_materializations(key, limit=1).records
        if not records:
            return None
        found = records[0]
        return TargetMaterialization(
            storage_id=found.storage_id, run_id=found.run_id, timestamp=found.timestamp
        )

    def _give_back(self, stream: str, lanes: dict[int, BatchTotals]) -> None:
        with self._lock:
            waiting = self._totals.setdefault(stream, {})
            for lane, totals in lanes.items():
                waiting.setdefault(lane, BatchTotals()).merge(totals)


def _slim(result: dg.AssetCheckResult) -> dict[str, Any]:
    """The metadata; of a check that passed without tables, whose figures it has as numbers too.

    Dagster's SQLite storage keeps a check result three times: with the equations' table and its
    schema in each, a day of reports took gigabytes.
    """
    return {
        name: value
        for name, value in (result.metadata or {}).items()
        if not (result.passed and isinstance(value, dg.TableMetadataValue))
    }
