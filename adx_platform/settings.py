"""The one settings tree: every value the platform can be told from outside.

Belongs here: names, defaults, validation and the three profiles. Does not belong here: opening
connections, reading files, or any behaviour that depends on the values; the layer that uses a
section receives that section as an argument.

Values come from ``ADX_...`` environment variables (``__`` between levels, for example
``ADX_KAFKA__BOOTSTRAP_SERVERS``) over the defaults of ``ADX_PROFILE``. Secrets are ``SecretStr``:
they are masked in every repr and are never written to a file.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self, get_origin

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from adx_platform.settings_sections import (
    LOCAL_PRIVACY_KEY,
    AlertSettings,
    FollowSettings,
    HygieneSettings,
    IncidentSettings,
    IngestSettings,
    KafkaSettings,
    LakeSettings,
    LogSettings,
    PrivacySettings,
    QualitySettings,
    RefineSettings,
    RegistrySettings,
    Section,
    WarehouseSettings,
)

__all__ = [
    "LOCAL_PRIVACY_KEY",
    "AlertSettings",
    "FollowSettings",
    "HygieneSettings",
    "IncidentSettings",
    "IngestSettings",
    "KafkaSettings",
    "LakeSettings",
    "LogSettings",
    "PrivacySettings",
    "ProfileName",
    "QualitySettings",
    "RefineSettings",
    "RegistrySettings",
    "Section",
    "Settings",
    "WarehouseSettings",
    "current_settings",
    "load_settings",
    "profile_defaults",
]

ProfileName = Literal["local", "aws", "hadoop"]


_PROFILE_DEFAULTS: dict[str, dict[str, Any]] = {
    "local": {},
    "aws": {
        "kafka": {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"},
        "warehouse": {"engine": "redshift", "port": 5439},
    },
    "hadoop": {"warehouse": {"engine": "hive", "port": 10000, "database": "default"}},
}


def profile_defaults(profile: str) -> dict[str, dict[str, Any]]:
    """What ``profile`` sets otherwise than the classes' own defaults, by section and name."""
    return {section: dict(values) for section, values in _PROFILE_DEFAULTS[profile].items()}


class Settings(BaseSettings):
    """Everything, resolved. Build it with :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="ADX_",
        env_nested_delimiter="__",
        # Compose and Kubernetes hand through what is not set as an empty text.
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    profile: ProfileName = "local"
    home: Path = Field(Path(".adx"), description="state of the local profile")
    kafka: KafkaSettings = KafkaSettings()
    registry: RegistrySettings = RegistrySettings()
    lake: LakeSettings = LakeSettings()
    ingest: IngestSettings = IngestSettings()
    follow: FollowSettings = FollowSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    privacy: PrivacySettings = PrivacySettings()
    refine: RefineSettings = RefineSettings()
    quality: QualitySettings = QualitySettings()
    incidents: IncidentSettings = IncidentSettings()
    alerts: AlertSettings = AlertSettings()
    logs: LogSettings = LogSettings()
    hygiene: HygieneSettings = HygieneSettings()
    automation: Literal["on", "off"] = Field(
        "off", description="whether Dagster's sensors and schedules start switched on"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the profile's defaults (merged level by level)."""
        profile = init_settings().get("profile", os.environ.get("ADX_PROFILE", "local"))
        defaults = InitSettingsSource(settings_cls, init_kwargs=_PROFILE_DEFAULTS.get(profile, {}))
        return init_settings, env_settings, defaults

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _no_demo_key_outside_local(self) -> Self:
        if self.profile != "local" and self.privacy.key.get_secret_value() == LOCAL_PRIVACY_KEY:
            raise ValueError(
                f"profile {self.profile!r} needs its own pseudonymisation key: "
                "set ADX_PRIVACY__KEY and ADX_PRIVACY__KEY_ID"
            )
        return self

    @property
    def lake_uri(self) -> str:
        """Root of the Delta tables, without a trailing slash."""
        return (self.lake.uri or str(self.home / "lake")).rstrip("/")

    @property
    def reference_dir(self) -> Path:
        """Folder of the reference data files (campaigns, flights, FX ...)."""
        return self.home / "reference"

    @property
    def simulation_dir(self) -> Path:
        """Folder of the simulator's wire files and truth."""
        return self.home / "simulation"

    @property
    def registry_dir(self) -> Path:
        """Folder of the file-backed schema registry."""
        return self.home / "registry"

    @property
    def duckdb_path(self) -> Path:
        """The database that only the build writes."""
        return self.warehouse.duckdb_path or self.home / "warehouse" / "adx.duckdb"

    @property
    def published_dir(self) -> Path:
        """Folder of the read-only snapshots that people query."""
        return self.warehouse.published_dir or self.home / "published"

    @property
    def incidents_url(self) -> SecretStr:
        """SQLAlchemy address of the incident database."""
        return self.incidents.url or SecretStr(f"sqlite:///{self.home / 'incidents.sqlite'}")

    @property
    def report_path(self) -> Path:
        """The HTML report that the ``report`` asset writes."""
        return self.home / "report" / "report.html"

    @property
    def dbt_target_dir(self) -> Path:
        """Folder of dbt's manifest and run artifacts."""
        return self.home / "dbt"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder: ``DAGSTER_HOME`` where it is set."""
        configured = os.environ.get("DAGSTER_HOME")
        return Path(configured) if configured else self.home / "dagster"


def load_settings(**overrides: object) -> Settings:
    """Read the environment over the defaults of the selected profile; ``overrides`` beat both.

    Raises:
        pydantic.ValidationError: a name is unknown or a value is out of range; the message names
            the variable's path in the tree.
    """
    _refuse_unknown_sections()
    _refuse_broken_json()
    return Settings.model_validate(overrides)


def _refuse_unknown_sections() -> None:
    # pydantic-settings passes over a variable whose section it does not know. Variables without
    # a section may be somebody else's: the command line, dbt's profiles and the tests have some.
    sections = tuple(f"ADX_{name}__".upper() for name in Settings.model_fields)
    unknown = [
        name
        for name in sorted(os.environ)
        if name.upper().startswith("ADX_")
        and "__" in name
        and not name.upper().startswith(sections)
    ]
    if unknown:
        raise ValidationError.from_exception_data(
            "Settings",
            [
                InitErrorDetails(
                    type="extra_forbidden",
                    loc=tuple(name.lower().removeprefix("adx_").split("__")),
                    input="**********",
                )
                for name in unknown
            ],
            hide_input=True,
        )


def _refuse_broken_json() -> None:
    # pydantic-settings says which section it cannot read, and neither the variable nor why.
    for name, value in sorted(os.environ.items()):
        section, _, field = name.lower().removeprefix("adx_").partition("__")
        if not name.upper().startswith("ADX_") or section not in Settings.model_fields:
            continue
        model = Settings.model_fields[section].annotation
        if not (isinstance(model, type) and issubclass(model, Section)):
            continue
        known = model.model_fields.get(field)
        if field and (known is None or get_origin(known.annotation) is not dict):
            continue
        try:
            json.loads(value)
        except json.JSONDecodeError as error:
            raise ValidationError.from_exception_data(
                "Settings",
                [
                    InitErrorDetails(
                        type="json_invalid",
                        loc=tuple(part for part in (section, field) if part),
                        ctx={"error": f'{error}; write {{"name": value, ...}}'},
                        input="**********",
                    )
                ],
                hide_input=True,
            ) from error


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
