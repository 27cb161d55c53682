"""The instance is made once, is valid, and a person's own configuration is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from adx_platform.contracts.streams import STREAMS
from adx_platform.orchestration.instance import CONFIG_NAME, ensure_instance, install_config
from adx_platform.orchestration.keys import WAREHOUSE_POOL, ingest_pool
from adx_platform.settings import Settings, load_settings


def test_the_template_is_a_valid_instance(settings: Settings) -> None:
    with ensure_instance(settings) as instance:
        assert Path(instance.root_directory) == settings.dagster_home
        assert instance.is_persistent
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.freshness_enabled
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 2


def test_pools_follow_the_settings(tmp_path: Path) -> None:
    def limits(lanes: int) -> dict[str, int]:
        settings = load_settings(home=tmp_path, kafka={"lanes_per_topic": lanes})
        with ensure_instance(settings) as instance:
            return {p.name: p.limit for p in instance.event_log_storage.get_pool_limits()}

    pools = {ingest_pool(stream): 2 for stream in STREAMS} | {WAREHOUSE_POOL: 1}
    assert limits(2) == pools
    assert limits(3) == pools | {ingest_pool(stream): 3 for stream in STREAMS}


def test_a_configuration_that_is_there_is_kept(settings: Settings) -> None:
    settings.dagster_home.mkdir(parents=True)
    own = settings.dagster_home / CONFIG_NAME
    own.write_text("telemetry:\n  enabled: false\n", encoding="utf-8")

    assert install_config(settings.dagster_home) == own
    with ensure_instance(settings) as instance:
        assert not instance.run_monitoring_enabled
    assert own.read_text(encoding="utf-8") == "telemetry:\n  enabled: false\n"


def test_dagster_home_is_respected(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = settings.home / "elsewhere"
    monkeypatch.setenv("DAGSTER_HOME", str(elsewhere))

    with ensure_instance(settings) as instance:
        assert Path(instance.root_directory) == elsewhere
    assert [path.name for path in elsewhere.glob("*.yaml")] == [CONFIG_NAME]
