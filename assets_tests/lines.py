"""Platforms that have run once, for the many tests that only look at one.

Belongs here: running the line, in this process and by the command line. Does not belong here: what
is looked at. ``conftest.ONE_LINE`` brings the tests of one platform into one test process.

Dagster and dbt are imported where they are used: most test modules do without.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adx_platform.codecs.registry import FileSchemaRegistry
from adx_platform.contracts.streams import STREAMS
from adx_platform.settings import KafkaSettings, Settings, load_settings
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.feeding import feed_topic
from adx_platform.simulate.simulator import simulate
from adx_platform.streams.embedded import EmbeddedBroker
from assets_tests.integration.installed_line import InstalledLine
from assets_tests.servers.ports import free_port

if TYPE_CHECKING:
    from adx_platform.orchestration.run import LineEvent, LineSummary

DEMO_EVENTS = 30_000
LINE_EVENTS = 2_000


@pytest.fixture(scope="session")
def parsed_home(shared_folder: Path) -> Path:
    """A home with nothing but dbt's manifest, which takes 11 s of CPU: look, or copy ``dbt``."""
    from adx_platform.orchestration.dbt_project import ensure_manifest  # noqa: PLC0415 - see above

    made = shared_folder / "parsed"
    if not made.is_dir():
        home = shared_folder / f"parsed-{uuid.uuid4().hex}"
        ensure_manifest(load_settings(home=home))
        # Another process of this run may have been as quick: then there is one already.
        with suppress(OSError):
            home.rename(made)
    return made


@pytest.fixture(scope="session")
def demo_line(
    broker_installed: None,
    clean_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    unused_port: int,
) -> InstalledLine:
    """A platform that took a market through the whole line, by the command of the README."""
    installed = InstalledLine.at(
        tmp_path_factory.mktemp("line"),
        clean_environment,
        unused_port,
        ADX_DEMO_EVENTS=str(DEMO_EVENTS),
    )
    try:
        installed.run("demo")
    except BaseException:
        # Killed by a timeout, the demo has not stopped its broker.
        installed.adx("down")
        raise
    return installed


@dataclass(frozen=True)
class WholeLine:
    """A small market at published marts, its broker at work, and what the run told."""

    settings: Settings
    summary: LineSummary
    events: tuple[LineEvent, ...]

    def copy(self, home: Path) -> Settings:
        """A copy of it, with a Dagster instance of its own, for one test to change."""
        shutil.copytree(self.settings.home, home, ignore=shutil.ignore_patterns("dagster"))
        return load_settings(home=home, kafka=self.settings.kafka)


@pytest.fixture(scope="session")
def whole_line(
    broker_installed: None, parsed_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WholeLine]:
    """The line, run once in this process for all tests of the group (see ``ONE_LINE``)."""
    from adx_platform.orchestration.run import run_line  # noqa: PLC0415 - see the module

    folder = tmp_path_factory.mktemp("whole")
    broker = EmbeddedBroker(folder / "broker", free_port(), folder / "broker.log")
    broker.start()
    try:
        settings = _fed_settings(folder / "home", broker)
        shutil.copytree(parsed_home / "dbt", settings.dbt_target_dir)
        events: list[LineEvent] = []
        summary = run_line(settings, on_event=events.append)
        yield WholeLine(settings, summary, tuple(events))
    finally:
        broker.stop()


def _fed_settings(home: Path, broker: EmbeddedBroker) -> Settings:
    """Settings of a home with a small simulated market in the broker's topics."""
    settings = load_settings(
        home=home, kafka=KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    )
    simulate(
        MarketConfig(events=LINE_EVENTS, days=1),
        settings.home,
        registry=FileSchemaRegistry(settings.registry_dir),
    )
    for stream in STREAMS:
        feed_topic(settings.kafka, settings.home / "wire", stream)
    return settings
