"""What the assets, checks and sensors work with: the floors below, opened by settings.

Belongs here: opening and closing. Every method is one call downwards, so that a test can put
another object with the same methods in its place. Does not belong here: rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from adx_platform.contracts.streams import stream_named
from adx_platform.lake.maintenance import UpkeepReport
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.expiry import ExpiryReport, expire_rows
from adx_platform.pipeline.ingest import ingest_lane
from adx_platform.pipeline.lags import PartitionLag, lags
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.remedies import RemedyReport, carry_out
from adx_platform.pipeline.reports import BatchReport
from adx_platform.pipeline.training import TrainingReport, train_attribution
from adx_platform.pipeline.upkeep import maintain_lake
from adx_platform.quality.incidents.model import Remedy
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.quality.marts_rows import BUILT_SCHEMAS, Unbuilt, model_rows, unbuilt
from adx_platform.reference.files import ReferenceData, load_reference
from adx_platform.settings import Settings
from adx_platform.warehouse.base import PublishReport, Warehouse
from adx_platform.warehouse.loader import LoadReport, load_pending
from adx_platform.warehouse.references import load_reference_data
from adx_platform.warehouse.selection import open_warehouse, publish_build
from adx_platform.warehouse.tracing import TracedLoad, newest_loads

# A load or a build holds the file for seconds; a run that meets one waits instead of failing.
WAREHOUSE_WAIT_SECONDS = 60.0
TICK_WAIT_SECONDS = 5.0

OnBatch = Callable[[BatchReport], None]


class Line:
    """The line from Kafka to the published marts, as the orchestration sees it."""

    def __init__(self, settings: Settings, *, on_batch: OnBatch | None = None) -> None:
        """Remember the settings; nothing is opened yet.

        Args:
            settings: the platform's.
            on_batch: called after each committed batch of an ingest, for progress.
        """
        self.settings = settings
        self._on_batch = on_batch

    @property
    def storage(self) -> LakeStorage:
        """The lake."""
        return LakeStorage.from_settings(self.settings)

    @contextmanager
    def platform(self) -> Iterator[Platform]:
        """Broker, lake, registry and reference data, opened together."""
        platform = open_platform(self.settings)
        try:
            yield platform
        finally:
            platform.kafka.close()

    def ingest(self, stream: str, lane: int, until: Mapping[int, int] | None) -> list[BatchReport]:
        """Land and refine one lane up to ``until``, or up to what is there now."""
        with self.platform() as platform:
            return ingest_lane(platform, stream, lane, until=until, on_batch=self._on_batch)

    def lags(self, streams: Iterable[str]) -> list[PartitionLag]:
        """How far each partition of ``streams`` is landed and refined; none without a topic."""
        with self.platform() as platform:
            there = platform.kafka.topics()
            named = [stream for stream in streams if stream_named(stream).topic in there]
            return [lag for stream in named for lag in lags(platform, stream)]

    @contextmanager
    def warehouse(self, *, wait_seconds: float = WAREHOUSE_WAIT_SECONDS) -> Iterator[Warehouse]:
        """The warehouse, with its tables in place; it is locked while it is open."""
        with open_warehouse(self.settings, wait_seconds=wait_seconds) as warehouse:
            warehouse.ensure_schema()
            yield warehouse

    def load(self, stream: str) -> LoadReport | None:
        """Load what the lake has of ``stream`` and the warehouse lacks."""
        with self.warehouse() as warehouse:
            return load_pending(warehouse, self.storage, stream)

    def maintain(self) -> list[UpkeepReport]:
        """Merge, drop and clean up in every table of the lake."""
        return list(maintain_lake(self.storage, self.settings.lake))

    def expire(self) -> ExpiryReport:
        """Delete the rows of the warehouse that are past their retention."""
        return expire_rows(self.settings, wait_seconds=WAREHOUSE_WAIT_SECONDS)

    def train(self) -> TrainingReport:
        """Learn the weights of the data-driven attribution models from the built marts."""
        with self.warehouse() as warehouse:
            return train_attribution(warehouse)

    def incidents(self) -> IncidentStore:
        """The incident database; use it as a context manager."""
        return IncidentStore.open(self.settings.incidents_url)

    def carry_out(self, remedy: Remedy) -> RemedyReport:
        """Do what an incident's remedy says, in the lake."""
        with self.platform() as platform:
            return carry_out(platform, remedy)

    def load_reference(self, *, force: bool = False) -> tuple[ReferenceData, tuple[str, ...]]:
        """Read the reference files and load the tables that changed; with ``force`` all of them."""
        data = self.read_reference()
        with self.warehouse() as warehouse:
            return data, load_reference_data(warehouse, data, force=force)

    def read_reference(self) -> ReferenceData:
        """Read and judge the reference files."""
        return load_reference(self.settings.reference_dir)

    def newest_load(self) -> int:
        """The newest load; 0 if nothing was loaded yet."""
        with self.warehouse() as warehouse:
            return warehouse.latest_load()

    def trace(self, *, up_to: int) -> tuple[TracedLoad, ...]:
        """Of each stream the newest load not after ``up_to``: its commit and offsets."""
        with self.warehouse() as warehouse:
            return newest_loads(warehouse.query, up_to=up_to)

    def model_rows(self) -> dict[str, int]:
        """Rows of every table that dbt has built, by the model's name."""
        with self.warehouse() as warehouse:
            tables = {schema: warehouse.built_tables(schema) for schema in BUILT_SCHEMAS}
            return model_rows(warehouse.query, tables)

    def views_made_from(self, project: str) -> frozenset[str]:
        """Names of the views that need not be made again while the dbt project is this one."""
        with self.warehouse() as warehouse:
            return warehouse.views_made_from(project)

    def unbuilt(self) -> Unbuilt:
        """What no green build has included yet; asked by a tick, so it does not wait long."""
        with self.warehouse(wait_seconds=TICK_WAIT_SECONDS) as warehouse:
            return unbuilt(warehouse.query)

    def record_build(self, build_id: str, to_load_id: int) -> None:
        """Note that a full green build included every load up to ``to_load_id``."""
        with self.warehouse() as warehouse:
            warehouse.record_build(build_id, to_load_id)

    def publish(self, build_id: str) -> PublishReport:
        """Make the marts of a recorded build what readers see."""
        return publish_build(self.settings, build_id, wait_seconds=WAREHOUSE_WAIT_SECONDS)
