"""A stand-in for Dagster's daemon: it ticks the real sensors and runs what they ask for.

Runs are executed in this process.
"""

# No postponed annotations here: Dagster reads the type of `context` as an object.

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from adx_platform.errors import AdxError
from adx_platform.orchestration.incident_names import REBUILD_JOB
from adx_platform.orchestration.incident_sensors import incident_sensors
from adx_platform.orchestration.incident_standing import incident_checks, incident_specs
from adx_platform.orchestration.remediation_jobs import remediation_jobs
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.remedies import RemedyReport
from adx_platform.quality.incidents.model import Incident, Remedy
from adx_platform.settings import IncidentSettings, Settings, load_settings

EVENTS = dg.AssetKey(["lake", "events", "ad_impressions"])
MART = dg.AssetKey(["warehouse", "marts", "fct_clicks"])
INTACT = dg.AssetCheckKey(EVENTS, "files_intact")
LATE = dg.AssetCheckKey(EVENTS, "late_share")
UNIQUE = dg.AssetCheckKey(MART, "unique")


class CannotMendError(AdxError):
    """What the remedy of the tests raises."""


class DamagedLine(Line):
    """A line whose lake and marts are as whole as the test says."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lake_is_whole = True
        self.marts_are_whole = True
        self.late_share_is_low = True
        self.on_remedy: Callable[[DamagedLine], RemedyReport] = DamagedLine.mend
        self.remedies: list[Remedy] = []
        self.rebuilds = 0

    def carry_out(self, remedy: Remedy) -> RemedyReport:
        self.remedies.append(remedy)
        return self.on_remedy(self)

    def mend(self) -> RemedyReport:
        self.lake_is_whole = True
        return RemedyReport("landed 3 ranges again", changed=True)

    def fail(self) -> RemedyReport:
        raise CannotMendError("the broker has these offsets no more")

    def do_nothing(self) -> RemedyReport:
        return RemedyReport("nothing was found damaged", changed=False)


def small_definitions(line: DamagedLine) -> dg.Definitions:
    """Two checks that are made together, one mart, and everything of the incidents."""

    @dg.multi_asset_check(
        specs=[
            dg.AssetCheckSpec(INTACT.name, asset=EVENTS),
            dg.AssetCheckSpec(LATE.name, asset=EVENTS),
        ]
    )
    def check_lake(line: dg.ResourceParam[Line]) -> Iterator[dg.AssetCheckResult]:
        assert isinstance(line, DamagedLine)
        yield dg.AssetCheckResult(
            asset_key=EVENTS, check_name=INTACT.name, passed=line.lake_is_whole
        )
        yield dg.AssetCheckResult(
            asset_key=EVENTS,
            check_name=LATE.name,
            passed=line.late_share_is_low,
            severity=dg.AssetCheckSeverity.WARN,
        )

    # As dbt's models and tests: each can be run without the other.
    @dg.multi_asset(
        specs=[dg.AssetSpec(MART, skippable=True)],
        check_specs=[dg.AssetCheckSpec(UNIQUE.name, asset=MART)],
        can_subset=True,
    )
    def fct_clicks(context: dg.AssetExecutionContext, line: dg.ResourceParam[Line]) -> Any:
        assert isinstance(line, DamagedLine)
        if MART in context.selected_asset_keys:
            line.rebuilds += 1
            yield dg.MaterializeResult(asset_key=MART)
        yield dg.AssetCheckResult(
            asset_key=MART, check_name=UNIQUE.name, passed=line.marts_are_whole
        )

    @dg.op
    def work(line: dg.ResourceParam[Line]) -> None:
        assert isinstance(line, DamagedLine)
        if not line.marts_are_whole:
            raise CannotMendError("model fct_clicks failed")

    @dg.job(name="build", executor_def=dg.in_process_executor)
    def build() -> None:
        work()

    mending = remediation_jobs(line)
    rebuild = dg.define_asset_job(REBUILD_JOB, dg.AssetSelection.assets(MART))
    return dg.Definitions(
        assets=[dg.AssetSpec(EVENTS), fct_clicks, *incident_specs()],
        asset_checks=[check_lake, *incident_checks()],
        jobs=[*mending, rebuild, build],
        sensors=incident_sensors(line.settings, [*mending, rebuild]),
        resources={"line": line},
        executor=dg.in_process_executor,
    )


class Daemon:
    """Ticks and runs."""

    def __init__(self, line: DamagedLine, instance: dg.DagsterInstance) -> None:
        self.line = line
        self.instance = instance
        self.defs = small_definitions(line)
        self.cursors: dict[str, str | None] = {}
        self.launched: list[str] = []

    def tick(self, name: str) -> dg.SensorResult:
        """One evaluation; its events are reported, its runs are not started."""
        sensor = self.defs.resolve_sensor_def(name)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            resources={"line": self.line},
            definitions=self.defs,
            sensor_name=name,
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursors[name] = result.cursor
        for event in result.asset_events:
            assert isinstance(event, dg.AssetCheckEvaluation)
            self.instance.report_runless_asset_event(event)
        return result

    def watch(self) -> dg.SensorResult:
        return self.tick("incident_watch")

    def mend(self, *, run: bool = True) -> list[dg.RunRequest]:
        """One evaluation of ``remediation``, and the runs that it asks for."""
        requests = list(self.tick("remediation").run_requests or [])
        for request in requests:
            self.launched.append(str(request.job_name))
            if run:
                self.run(str(request.job_name), request.tags, request.asset_check_keys)
        return requests

    def run(
        self,
        job: str,
        tags: dict[str, str] | None = None,
        checks: list[dg.AssetCheckKey] | None = None,
    ) -> dg.ExecuteInProcessResult:
        definition = self.defs.resolve_job_def(job)
        if checks is not None:
            definition = definition.get_subset(
                asset_selection=set(), asset_check_selection=set(checks)
            )
        return definition.execute_in_process(
            instance=self.instance, tags=dict(tags or {}), raise_on_error=False
        )

    def check(self) -> None:
        """The lake's checks, as after an ingest."""
        self.run("recheck", checks=[INTACT, LATE])

    def round(self) -> None:
        """What happens every few seconds."""
        self.watch()
        self.mend()

    def incidents(self) -> list[Incident]:
        with self.line.incidents() as store:
            return store.incidents()

    def latest(self, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
        record = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])
        return record[key].evaluation if key in record else None


@contextmanager
def running_daemon(
    home: Path, *, on_disk: bool = False, postgres_url: str | None = None
) -> Iterator[Daemon]:
    """A daemon with a home of its own, whose pauses are short.

    Args:
        home: an empty folder.
        on_disk: keep Dagster's records in SQLite files as a real instance does, not in memory;
            it takes seconds to set up.
        postgres_url: keep these and the incidents in this database, as a shared installation does.
    """
    budget: dict[str, Any] = {"max_attempts": 3, "first_pause": timedelta(milliseconds=100)}
    if postgres_url is not None:
        budget["url"] = postgres_url
    settings = load_settings(home=home, incidents=IncidentSettings(**budget))
    folder = home / "dagster"
    folder.mkdir(parents=True)
    with _instance(folder, on_disk=on_disk, postgres_url=postgres_url) as instance:
        yield Daemon(DamagedLine(settings), instance)


def _instance(folder: Path, *, on_disk: bool, postgres_url: str | None) -> dg.DagsterInstance:
    if postgres_url is not None:
        storage = {"storage": {"postgres": {"postgres_url": postgres_url}}}
        return dg.DagsterInstance.local_temp(str(folder), overrides=storage)
    return dg.DagsterInstance.local_temp(str(folder)) if on_disk else dg.DagsterInstance.ephemeral()
