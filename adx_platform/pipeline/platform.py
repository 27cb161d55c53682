"""What every step needs, opened once: broker, lake, schema registry and enrichment data.

Belongs here: putting the parts together from the settings. Does not belong here: using them.
"""

from __future__ import annotations

from dataclasses import dataclass

from adx_platform.codecs.registry import SchemaRegistry, open_registry
from adx_platform.contracts.streams import Stream
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.landing import LandingHandle
from adx_platform.lake.storage import LakeStorage
from adx_platform.reference.enrichment import load_enrichment_reference
from adx_platform.refine.context import EnrichmentReference, RefineContext
from adx_platform.settings import Settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.reader import RangeReader

__all__ = ["Platform", "open_platform", "open_registry"]


@dataclass(frozen=True)
class Platform:
    """The opened parts. Nothing here connects before it is used, so lake-only work needs no broker.

    Attributes:
        settings: everything that was configured.
        kafka: administrative requests to the broker.
        storage: the lake.
        registry: where Avro writer schemas are looked up.
        enrichment: reference data of the refiner, at one version.
    """

    settings: Settings
    kafka: KafkaAdmin
    storage: LakeStorage
    registry: SchemaRegistry
    enrichment: EnrichmentReference

    def refine_context(self, stream: Stream) -> RefineContext:
        """What refining depends on besides the raw rows."""
        return RefineContext(
            stream=stream,
            registry=self.registry,
            reference=self.enrichment,
            privacy=self.settings.privacy,
            rules=self.settings.refine,
        )

    def landing(self, stream: Stream, *, after: LandingHandle | None = None) -> LandingHandle:
        """A handle of the landing, to plan one range on; ``after`` is given up for it."""
        return LandingHandle.open(
            self.storage,
            stream.topic,
            checkpoint_interval=self.settings.lake.checkpoint_interval,
            after=after,
        )

    def refining(self, stream: Stream, *, after: RefineHandle | None = None) -> RefineHandle:
        """A handle of the refined rows, to plan one range on; ``after`` is given up for it."""
        return RefineHandle.open(
            self.storage,
            stream.topic,
            stream.events_schema,
            checkpoint_interval=self.settings.lake.checkpoint_interval,
            after=after,
        )

    def reader(self, topic: str, topic_id: str) -> RangeReader:
        """A reader of one topic; it connects at its first read."""
        return RangeReader(
            self.settings.kafka,
            topic,
            topic_id,
            idle_timeout_seconds=self.settings.ingest.idle_timeout_seconds,
        )


def open_platform(settings: Settings) -> Platform:
    """Put the platform together.

    Raises:
        ValueError: the lake's URI has an unknown scheme.
        AdxError: the reference data cannot be read.
    """
    return Platform(
        settings=settings,
        kafka=KafkaAdmin(settings.kafka),
        storage=LakeStorage.from_settings(settings),
        registry=open_registry(settings),
        enrichment=load_enrichment_reference(settings.reference_dir),
    )
