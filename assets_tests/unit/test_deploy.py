"""The files of a shared installation name settings, commands and files that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from adx_platform.cli.commands import COMMANDS
from adx_platform.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
NOT_SETTINGS = {"ADX_DAGSTER_STORAGE", "ADX_DAGSTER_POSTGRES_URL"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def services_of_the_platform(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: service
        for name, service in compose["services"].items()
        if service["image"] == "adx-platform"
    }


def test_every_variable_of_the_compose_file_is_a_setting(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    services = services_of_the_platform(compose)
    assert {"ingest", "daemon", "webserver", "topics"} <= services.keys()
    for service in services.values():
        with monkeypatch.context() as patch:
            for name, value in service["environment"].items():
                if name not in NOT_SETTINGS:
                    # As compose does: ${NAME:-default}.
                    patch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
            settings = load_settings()
            assert settings.kafka.bootstrap_servers == "kafka:9092"
            assert settings.alerts.slack_webhook_url is None
            assert settings.automation == "on"


def test_the_services_run_commands_that_exist(compose: dict[str, Any]) -> None:
    known = {entry.name for entry in COMMANDS}
    started = [service["command"] for service in services_of_the_platform(compose).values()]
    assert {command[1] for command in started if command[0] == "adx"} <= known


def test_the_databases_are_named_with_a_driver_that_is_there(compose: dict[str, Any]) -> None:
    # SQLAlchemy 2.1 made psycopg 3 the driver of a bare postgresql://, and Dagster brings another.
    for name, service in services_of_the_platform(compose).items():
        for variable in ("ADX_INCIDENTS__URL", "ADX_DAGSTER_POSTGRES_URL"):
            engine = sa.create_engine(service["environment"][variable])
            assert engine.driver == "psycopg2", (name, variable)


def test_mounted_and_copied_files_exist(compose: dict[str, Any]) -> None:
    mounts = [
        volume.split(":", 1)[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounts
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    copied = [
        source
        for line in dockerfile.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert [path for path in [*mounts, *copied] if not (ROOT / path).exists()] == []
