"""A broker of a test's own with the impressions' topic, and platforms on one lake beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.settings import IngestSettings, KafkaSettings, RefineSettings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EMBEDDED_TOPIC_CONFIG, EmbeddedBroker
from assets_tests.integration.ingest_line import PARTITIONS, STREAM, PlatformMaker


@pytest.fixture
def broker_at(own_broker: EmbeddedBroker) -> KafkaSettings:
    own_broker.start()
    kafka = KafkaSettings(
        bootstrap_servers=own_broker.bootstrap_servers,
        partitions_per_topic=PARTITIONS,
        lanes_per_topic=2,
    )
    with KafkaAdmin(kafka) as admin:
        admin.create_topics([STREAM], config=EMBEDDED_TOPIC_CONFIG)
    return kafka


@pytest.fixture
def platform_of(tmp_path: Path, broker_at: KafkaSettings) -> PlatformMaker:
    def make(*, batch: int = 40, refine: RefineSettings | None = None) -> Platform:
        return open_platform(
            load_settings(
                home=tmp_path / "home",
                kafka=broker_at,
                ingest=IngestSettings(max_records_per_batch=batch, idle_timeout_seconds=10),
                refine=refine or RefineSettings(),
            )
        )

    return make
