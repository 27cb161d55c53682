from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from adx_platform.settings import LOCAL_PRIVACY_KEY, KafkaSettings, load_settings

pytestmark = pytest.mark.usefixtures("no_adx_variables")

SECRETS = (
    "ADX_KAFKA__SASL_PASSWORD",
    "ADX_KAFKA__SSL_KEY_PASSWORD",
    "ADX_REGISTRY__PASSWORD",
    "ADX_LAKE__S3_SECRET_ACCESS_KEY",
    "ADX_WAREHOUSE__PASSWORD",
    "ADX_PRIVACY__KEY",
    "ADX_PRIVACY__PREVIOUS_KEY",
)


@pytest.fixture
def production(no_adx_variables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADX_PRIVACY__KEY", "k" * 32)
    monkeypatch.setenv("ADX_PRIVACY__KEY_ID", "2026-11")


def problem_at(error: ValidationError) -> tuple[str, str]:
    (problem,) = error.errors()
    return ".".join(map(str, problem["loc"])), problem["type"]


def test_the_local_profile_needs_nothing() -> None:
    settings = load_settings()
    assert settings.profile == "local"
    assert settings.warehouse.engine == "duckdb"
    assert settings.kafka.security_protocol == "PLAINTEXT"
    assert settings.home == Path.cwd() / ".adx"


@pytest.mark.parametrize(
    ("profile", "engine", "port", "protocol"),
    [("aws", "redshift", 5439, "SASL_SSL"), ("hadoop", "hive", 10_000, "PLAINTEXT")],
)
@pytest.mark.usefixtures("production")
def test_a_profile_has_defaults_of_its_own(
    monkeypatch: pytest.MonkeyPatch, profile: str, engine: str, port: int, protocol: str
) -> None:
    monkeypatch.setenv("ADX_PROFILE", profile)
    settings = load_settings()
    assert settings.warehouse.engine == engine
    assert settings.warehouse.port == port
    assert settings.kafka.security_protocol == protocol


@pytest.mark.usefixtures("production")
def test_the_environment_beats_the_profile_value_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADX_PROFILE", "aws")
    monkeypatch.setenv("ADX_WAREHOUSE__PORT", "5440")
    monkeypatch.setenv("ADX_KAFKA__SASL_MECHANISM", "PLAIN")
    settings = load_settings()
    assert settings.warehouse.port == 5440
    assert settings.warehouse.engine == "redshift", "the profile's other values stay"
    assert settings.kafka.sasl_mechanism == "PLAIN"
    assert settings.kafka.security_protocol == "SASL_SSL"


def test_arguments_beat_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADX_HOME", str(tmp_path / "from-environment"))
    monkeypatch.setenv("ADX_KAFKA__LANES_PER_TOPIC", "7")
    settings = load_settings(home=tmp_path, kafka=KafkaSettings(lanes_per_topic=3))
    assert settings.home == tmp_path
    assert settings.kafka.lanes_per_topic == 3


@pytest.mark.usefixtures("production")
def test_a_profile_may_be_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADX_PROFILE", "hadoop")
    assert load_settings(profile="aws").warehouse.engine == "redshift"


def test_values_are_read_from_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADX_REFINE__LATE_AFTER", "PT90M")
    monkeypatch.setenv("ADX_LAKE__S3_ALLOW_HTTP", "true")
    monkeypatch.setenv("ADX_KAFKA__CLIENT_OPTIONS", '{"broker.address.family": "v4"}')
    settings = load_settings()
    assert settings.refine.late_after == timedelta(minutes=90)
    assert settings.lake.s3_allow_http is True
    assert settings.kafka.client_options == {"broker.address.family": "v4"}


@pytest.mark.parametrize(
    ("variable", "value", "place", "kind"),
    [
        ("ADX_KAFKA__BOOTSTRAP_SERVRES", "x:1", "kafka.bootstrap_servres", "extra_forbidden"),
        ("ADX_KAFAK__BOOTSTRAP_SERVERS", "x:1", "kafak.bootstrap_servers", "extra_forbidden"),
        ("ADX_KAFKA__LANES_PER_TOPIC", "0", "kafka.lanes_per_topic", "greater_than_equal"),
        ("ADX_INGEST__MAX_RECORDS_PER_BATCH", "x", "ingest.max_records_per_batch", "int_parsing"),
        ("ADX_QUALITY__MAX_LATE_SHARE", "1.5", "quality.max_late_share", "less_than_equal"),
        ("ADX_PROFILE", "azure", "profile", "literal_error"),
        ("ADX_AUTOMATION", "maybe", "automation", "literal_error"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, place: str, kind: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as raised:
        load_settings()
    assert problem_at(raised.value) == (place, kind)


def test_an_unknown_argument_is_an_error() -> None:
    with pytest.raises(ValidationError) as raised:
        load_settings(hoem="x")
    assert problem_at(raised.value) == ("hoem", "extra_forbidden")


def test_variables_of_the_commands_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADX_UI_PORT", "ADX_DEMO_EVENTS", "ADX_DBT_TARGET", "ADX_FAULT_KILL_AT"):
        monkeypatch.setenv(name, "1")
    assert load_settings().profile == "local"


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, f"hush-{name}")
    monkeypatch.setenv("ADX_PRIVACY__PREVIOUS_KEY_ID", "2026-10")
    settings = load_settings()
    assert settings.registry.password is not None
    assert settings.registry.password.get_secret_value() == "hush-ADX_REGISTRY__PASSWORD"
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "hush" not in shown
    assert shown.count("SecretStr('**********')") >= len(SECRETS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ADX_KAFAK__SASL_PASSWORD": "hush"},
        {"ADX_KAFKA__SASL_PASWORD": "hush"},
        {"ADX_KAFKA__SASL_PASSWORD": "hush", "ADX_PROFILE": "aws"},
        {"ADX_PRIVACY__PREVIOUS_KEY": "hush"},
    ],
    ids=str,
)
def test_no_secret_is_in_the_error_about_wrong_settings(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as raised:
        load_settings()
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("profile", ["aws", "hadoop"])
def test_the_demo_key_is_for_the_demo(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    assert load_settings().privacy.key.get_secret_value() == LOCAL_PRIVACY_KEY
    monkeypatch.setenv("ADX_PROFILE", profile)
    with pytest.raises(ValidationError, match="set ADX_PRIVACY__KEY and ADX_PRIVACY__KEY_ID"):
        load_settings()
    monkeypatch.setenv("ADX_PRIVACY__KEY", LOCAL_PRIVACY_KEY)
    with pytest.raises(ValidationError, match="needs its own pseudonymisation key"):
        load_settings()


@pytest.mark.parametrize("alone", ["ADX_PRIVACY__PREVIOUS_KEY", "ADX_PRIVACY__PREVIOUS_KEY_ID"])
def test_a_rotation_needs_the_old_key_and_its_id(
    monkeypatch: pytest.MonkeyPatch, alone: str
) -> None:
    monkeypatch.setenv(alone, "x")
    with pytest.raises(ValidationError, match="PREVIOUS_KEY_ID together"):
        load_settings()
    monkeypatch.setenv("ADX_PRIVACY__PREVIOUS_KEY", "old")
    monkeypatch.setenv("ADX_PRIVACY__PREVIOUS_KEY_ID", "2026-10")
    assert load_settings().privacy.previous_key_id == "2026-10"


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.profile = "aws"
    with pytest.raises(ValidationError):
        settings.kafka.lanes_per_topic = 9


def test_everything_is_under_home_unless_it_is_put_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ADX_HOME", str(tmp_path))
    settings = load_settings()
    assert settings.lake_uri == str(tmp_path / "lake")
    assert settings.duckdb_path == tmp_path / "warehouse" / "adx.duckdb"
    folders = (
        settings.reference_dir,
        settings.simulation_dir,
        settings.registry_dir,
        settings.published_dir,
        settings.dbt_target_dir,
        settings.dagster_home,
    )
    assert {folder.parent for folder in folders} == {tmp_path}
    assert len(set(folders)) == len(folders)

    monkeypatch.setenv("ADX_LAKE__URI", "s3://bucket/lake/")
    monkeypatch.setenv("ADX_WAREHOUSE__DUCKDB_PATH", str(tmp_path / "x.duckdb"))
    monkeypatch.setenv("ADX_WAREHOUSE__PUBLISHED_DIR", str(tmp_path / "p"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "d"))
    settings = load_settings()
    assert settings.lake_uri == "s3://bucket/lake"
    assert settings.duckdb_path == tmp_path / "x.duckdb"
    assert settings.published_dir == tmp_path / "p"
    assert settings.dagster_home == tmp_path / "d"


def test_home_does_not_depend_on_where_a_later_step_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADX_HOME", "state")
    settings = load_settings()
    monkeypatch.chdir(tmp_path.parent)
    assert settings.home == tmp_path / "state"


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADX_ALERTS__SLACK_WEBHOOK_URL", "")
    monkeypatch.setenv("ADX_PROFILE", "")
    settings = load_settings()
    assert settings.alerts.slack_webhook_url is None
    assert settings.profile == "local"
