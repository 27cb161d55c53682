"""The reference is of the present settings, and what holds now is said with its origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adx_platform.settings import Section, Settings, load_settings
from adx_platform.settings_reference import (
    SECRET,
    all_settings,
    effective_settings,
    markdown,
)

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_the_reference_is_current() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == markdown(), (
        "the settings have changed: run `adx settings --markdown > docs/reference/configuration.md`"
    )


def leaves(section: type[Any]) -> int:
    kinds = [field.annotation for field in section.model_fields.values()]
    return sum(
        leaves(kind) if isinstance(kind, type) and issubclass(kind, Section) else 1
        for kind in kinds
    )


def test_every_setting_is_in_it_once() -> None:
    names = [setting.variable for setting in all_settings()]
    assert len(names) == len(set(names)) == leaves(Settings) > 60
    assert all(setting.meaning for setting in all_settings())


@pytest.mark.parametrize("setting", list(all_settings()), ids=lambda s: s.variable)
def test_its_default_can_be_set_as_it_is_written(
    no_adx_variables: None, monkeypatch: pytest.MonkeyPatch, setting: Any
) -> None:
    if setting.default is None:
        return
    untouched = load_settings()
    monkeypatch.setenv(setting.variable, setting.default)
    assert load_settings() == untouched


def shown(**environment: str) -> dict[str, tuple[str | None, str]]:
    return {
        item.setting.variable: (item.value, item.source)
        for item in effective_settings(load_settings(), environment)
    }


def test_what_holds_and_where_it_comes_from(
    no_adx_variables: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = {
        "ADX_PROFILE": "aws",
        "ADX_HOME": str(tmp_path),
        "ADX_PRIVACY__KEY": "not-to-be-seen",
        "ADX_PRIVACY__KEY_ID": "k-1",
        "adx_kafka__partitions_per_topic": "8",
        "ADX_LAKE": '{"s3_region": "eu-west-1"}',
        "ADX_WAREHOUSE__PORT": "5440",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = shown(**environment)
    assert found["ADX_HOME"] == (str(tmp_path), "environment")
    assert found["ADX_PRIVACY__KEY"] == (SECRET, "environment")
    assert found["ADX_PRIVACY__PREVIOUS_KEY"] == (None, "default")
    assert found["ADX_KAFKA__PARTITIONS_PER_TOPIC"] == ("8", "environment")
    assert found["ADX_KAFKA__SASL_MECHANISM"] == ("SCRAM-SHA-512", "profile")
    assert found["ADX_WAREHOUSE__PORT"] == ("5440", "environment")
    assert found["ADX_WAREHOUSE__ENGINE"] == ("redshift", "profile")
    assert found["ADX_LAKE__S3_REGION"] == ("eu-west-1", "environment")
    assert found["ADX_LAKE__RAW_RETENTION"] == ("P7D", "default")
    assert "not-to-be-seen" not in str(found)
