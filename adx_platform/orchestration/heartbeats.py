"""The sign of life of the resident loop: written to Dagster's shared storage, and judged.

Belongs here: the sign itself, the check ``alive`` and the sensor that looks for a loop that died.
Does not belong here: the loop (``resident``), or what the planner does about it (``sensors``).
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import dagster as dg
from dagster._core.storage.daemon_cursor import DaemonCursorStorage

from adx_platform.orchestration import keys
from adx_platform.orchestration.automation import sensor_status
from adx_platform.orchestration.resources import Line
from adx_platform.settings import Settings

ALIVE: Final = "alive"
_STORAGE_KEY: Final = "adx/ingest_loop"
_WATCH_SECONDS: Final = 10

Life = Literal["none", "alive", "stopped", "dead"]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the loop last said.

    Attributes:
        at: when, seconds since the epoch.
        host: where it runs.
        pid: its process there.
        streams: which streams it follows.
        lanes: how many lanes that makes.
        behind: offsets that the broker has and the lake lacks.
        last_commit: when it last committed anything; null if never.
        stopped: whether it said goodbye.
    """

    at: float
    host: str
    pid: int
    streams: tuple[str, ...]
    lanes: int
    behind: int
    last_commit: float | None = None
    stopped: bool = False

    def to_json(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What :meth:`to_json` wrote."""
        document: dict[str, Any] = json.loads(text)
        return cls(**{**document, "streams": tuple(document["streams"])})

    def is_at_work(self, now: float, stale_after: float) -> bool:
        """Whether the loop is at work at ``now``, in seconds since the epoch."""
        return not self.stopped and now - self.at < stale_after

    def explain(self) -> str:
        """For people: who it is and how far it is."""
        commit = "nothing committed yet"
        if self.last_commit is not None:
            commit = f"last commit {datetime.fromtimestamp(self.last_commit, UTC):%H:%M:%S} UTC"
        return (
            f"pid {self.pid} on {self.host}, {self.lanes} lanes, {self.behind:,} behind, {commit}"
        )


def write_heartbeat(instance: dg.DagsterInstance, beat: Heartbeat) -> None:
    """Leave a sign of life where the daemon's sensors find it."""
    _storage(instance).set_cursor_values({_STORAGE_KEY: beat.to_json()})


def read_heartbeat(instance: dg.DagsterInstance) -> Heartbeat | None:
    """The newest sign of life; ``None`` if there never was one."""
    text = _storage(instance).get_cursor_values({_STORAGE_KEY}).get(_STORAGE_KEY)
    return None if text is None else Heartbeat.from_json(text)


def judge(beat: Heartbeat | None, now: float, stale_after: float) -> tuple[Life, str]:
    """Whether the loop lives, and a sentence about it.

    Args:
        beat: its newest sign of life.
        now: seconds since the epoch.
        stale_after: seconds without a sign after which it counts as dead.
    """
    if beat is None:
        return "none", "there was never a resident loop: the planner asks for runs"
    if beat.stopped:
        return "stopped", f"the resident loop was stopped properly ({beat.explain()})"
    if beat.is_at_work(now, stale_after):
        return "alive", beat.explain()
    return "dead", (
        f"no sign of life for {now - beat.at:.0f} s ({beat.explain()}): the process died or hangs. "
        "The planner has taken over; start `adx ingest --follow` again"
    )


def loop_spec() -> dg.AssetSpec:
    """The resident loop as an asset: somewhere for its check to be."""
    return dg.AssetSpec(
        keys.INGEST_LOOP_KEY,
        description=(
            "The resident loop `adx ingest --follow`, which takes what arrives at the broker to "
            "the lake within seconds. Without it the planner sensor asks for runs."
        ),
        group_name=keys.GROUP_PLATFORM,
        kinds={"python"},
        owners=keys.OWNERS,
    )


def alive_check() -> dg.AssetChecksDefinition:
    """The check ``alive``, to be run by hand; the sensor reports it by itself."""

    @dg.asset_check(
        asset=keys.INGEST_LOOP_KEY,
        name=ALIVE,
        description="A resident loop that was at work still is, or was stopped properly.",
    )
    def check_alive(
        context: dg.AssetCheckExecutionContext, line: dg.ResourceParam[Line]
    ) -> dg.AssetCheckResult:
        stale_after = line.settings.follow.stale_after.total_seconds()
        beat = read_heartbeat(context.instance)
        life, text = judge(beat, datetime.now(UTC).timestamp(), stale_after)
        return dg.AssetCheckResult(
            passed=life != "dead",
            severity=dg.AssetCheckSeverity.ERROR,
            description=text,
            metadata=_metadata(beat),
        )

    return check_alive


def loop_watch_sensor(settings: Settings) -> dg.SensorDefinition:
    """Reports the check ``alive`` when the loop begins, dies, comes back or says goodbye."""

    @dg.sensor(
        name="ingest_loop_watch",
        minimum_interval_seconds=_WATCH_SECONDS,
        default_status=sensor_status(settings),
        description="Looks for the sign of life of the resident loop.",
    )
    def ingest_loop_watch(
        context: dg.SensorEvaluationContext, line: dg.ResourceParam[Line]
    ) -> dg.SensorResult:
        stale_after = line.settings.follow.stale_after.total_seconds()
        beat = read_heartbeat(context.instance)
        life, text = judge(beat, datetime.now(UTC).timestamp(), stale_after)
        # Only what changes is reported: an event a tick would fill the event log with nothing.
        if life == (context.cursor or "none"):
            return dg.SensorResult(skip_reason=text, cursor=life)
        return dg.SensorResult(asset_events=list(_events(life, text, beat)), cursor=life)

    return ingest_loop_watch


def _events(life: Life, text: str, beat: Heartbeat | None) -> Iterator[dg.AssetCheckEvaluation]:
    yield dg.AssetCheckEvaluation(
        asset_key=keys.INGEST_LOOP_KEY,
        check_name=ALIVE,
        passed=life != "dead",
        severity=dg.AssetCheckSeverity.ERROR,
        description=text,
        metadata=_metadata(beat),
    )


def _metadata(beat: Heartbeat | None) -> dict[str, dg.MetadataValue]:
    if beat is None:
        return {}
    return {
        "host": dg.TextMetadataValue(beat.host),
        "pid": dg.IntMetadataValue(beat.pid),
        "lanes": dg.IntMetadataValue(beat.lanes),
        "behind": dg.IntMetadataValue(beat.behind),
        "last_sign": dg.TimestampMetadataValue(beat.at),
    }


def _storage(instance: dg.DagsterInstance) -> DaemonCursorStorage:
    # Private in name only: Dagster's own daemons keep their cursors here, and it is the one store
    # that every process of an instance shares.
    storage = instance.daemon_cursor_storage
    if storage is None:
        raise dg.DagsterInvariantViolationError(
            "this Dagster instance has no storage for daemon cursors: use SQLite or Postgres"
        )
    return storage
