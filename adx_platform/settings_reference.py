"""The settings as a table: what each is called, means, and is now.

Belongs here: reading the settings classes, and the configuration reference made from them. Does not
belong here: the settings (``settings``), or printing (``cli.settings``).
"""

from __future__ import annotations

import json
import os
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from adx_platform.settings import ProfileName, Section, Settings, profile_defaults

PREFIX: Final = "ADX_"
DELIMITER: Final = "__"
SECRET: Final = "***"  # noqa: S105 - what is shown instead of one

OUTSIDE: Final = (
    ("ADX_UI_PORT", "number", "3000", "port of the Dagster UI that `adx up` starts"),
    ("ADX_WORKSPACE_DIR", "path", "the checkout", "folder with `workspace.yaml`, for `adx up`"),
    (
        "ADX_DBT_PROJECT_DIR",
        "path",
        "`dbt_project` beside the package",
        "folder of the dbt project",
    ),
    ("DAGSTER_HOME", "path", "`<home>/dagster`", "Dagster's instance folder"),
)
"""Variables that are no part of the tree: name, type, default, meaning."""

_BOUNDS: Final = (
    (Ge, "ge", "at least"),
    (Gt, "gt", "more than"),
    (Le, "le", "at most"),
    (Lt, "lt", "less than"),
)
_TYPES: Final[Mapping[object, str]] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "true or false",
    Path: "path",
    timedelta: "duration",
    SecretStr: "text, secret",
}
_DURATION = TypeAdapter(timedelta)
_HEAD: Final = """\
# Configuration reference

<!-- Generated from adx_platform/settings.py by `adx settings --markdown`; do not edit. -->

Every value is an environment variable: `ADX_<SECTION>__<NAME>`. A whole section may be given as one
JSON object instead (`ADX_KAFKA='{"bootstrap_servers": "..."}'`). An unknown name is an error. A
value comes from the environment; else from the profile (`ADX_PROFILE`); else it is the default.
`adx settings` prints what holds now, and where it comes from.

A duration is ISO 8601 (`PT30S`, `PT5M`, `P7D`) or `[days] HH:MM:SS`. A secret is masked wherever it
is shown or logged.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that can be set.

    Attributes:
        section: name of its section; empty at the top of the tree.
        name: its name in the section.
        type: in words.
        default: as text that could be set; null: not set.
        meaning: what it does.
        secret: whether it is masked.
    """

    section: str
    name: str
    type: str
    default: str | None
    meaning: str
    secret: bool

    @property
    def variable(self) -> str:
        """The environment variable."""
        return _variable(self.section, self.name)


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting as it is now: ``value`` is masked, ``source`` environment, profile or default."""

    setting: Setting
    value: str | None
    source: Literal["environment", "profile", "default"]


def all_settings() -> Iterator[Setting]:
    """Every setting, in the order of the classes; those without a section first."""
    sections = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            sections.append((name, section))
        else:
            yield _setting("", name, field)
    for section_name, section in sections:
        for name, field in section.model_fields.items():
            yield _setting(section_name, name, field)


def effective_settings(
    settings: Settings, environment: Mapping[str, str] = os.environ
) -> Iterator[Effective]:
    """Every setting with its value in ``settings``, secrets masked, and where that comes from."""
    given = {name.upper() for name in environment}
    of_profile = profile_defaults(settings.profile)
    for setting in all_settings():
        holder = getattr(settings, setting.section) if setting.section else settings
        value = getattr(holder, setting.name)
        source: Literal["environment", "profile", "default"] = "default"
        if setting.variable in given or setting.name in _given_as_json(setting, environment):
            source = "environment"
        elif setting.name in of_profile.get(setting.section, {}):
            source = "profile"
        shown = _text(value)
        if setting.secret and value is not None:
            shown = SECRET
        yield Effective(setting, shown, source)


def markdown() -> str:
    """The configuration reference."""
    parts = [_HEAD, "## General\n", *_table(s for s in all_settings() if not s.section)]
    for section_name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            summary = " ".join((section.__doc__ or "").split())
            parts += [f"\n## {section_name}\n", f"{summary}\n"]
            parts += _table(s for s in all_settings() if s.section == section_name)
    parts += ["\n## Profiles\n", "What a profile sets otherwise than the defaults above.\n"]
    parts += ["| profile | variable | value |", "|---|---|---|"]
    for profile in get_args(ProfileName):
        rows = [
            f"| `{profile}` | `{_variable(section, name)}` | `{_text(value)}` |"
            for section, values in profile_defaults(profile).items()
            for name, value in values.items()
        ]
        parts += rows or [f"| `{profile}` | - | the defaults |"]
    parts += [
        "\n## Other variables\n",
        "| variable | type | default | meaning |",
        "|---|---|---|---|",
    ]
    parts += [
        f"| `{name}` | {kind} | {default} | {meaning} |" for name, kind, default, meaning in OUTSIDE
    ]
    return "\n".join(parts) + "\n"


def _variable(section: str, name: str) -> str:
    path = (section, name) if section else (name,)
    return PREFIX + DELIMITER.join(path).upper()


def _table(settings: Iterator[Setting]) -> Iterator[str]:
    yield "| variable | type | default | meaning |"
    yield "|---|---|---|---|"
    for item in settings:
        default = "-" if item.default is None else f"`{item.default}`"
        meaning = _cell(item.meaning)
        yield f"| `{item.variable}` | {_cell(item.type)} | {default} | {meaning} |"


def _cell(text: str) -> str:
    # A "<" would begin a tag.
    return text.replace("|", "\\|").replace("<", "&lt;")


def _setting(section: str, name: str, field: FieldInfo) -> Setting:
    secret = SecretStr in _members(field.annotation)
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, SecretStr):
        # The one secret with a default is the demo's, which keeps nothing secret.
        default = default.get_secret_value()
    return Setting(
        section=section,
        name=name,
        type=_type(field),
        default=_text(default),
        meaning=field.description or _by_its_name(section, name),
        secret=secret,
    )


def _by_its_name(section: str, name: str) -> str:
    if section == "kafka" and name.startswith(("sasl_", "ssl_", "security_")):
        return f"librdkafka's `{name.replace('_', '.')}`"
    return name.replace("_", " ")


def _members(annotation: object) -> tuple[object, ...]:
    """The alternatives of a union without None; or the type alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(item for item in get_args(annotation) if item is not type(None))
    return (annotation,)


def _type(field: FieldInfo) -> str:
    (kind,) = _members(field.annotation)
    if get_origin(kind) is Literal:
        return " / ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is dict:
        return "JSON object"
    bounds = [
        f"{words} {_bound(getattr(bound, attribute))}"
        for bound in field.metadata
        for marker, attribute, words in _BOUNDS
        if isinstance(bound, marker)
    ]
    return ", ".join([_TYPES[kind], *bounds])


def _bound(value: object) -> str:
    return f"`{_text(value)}`" if isinstance(value, timedelta) else f"{value:g}"


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return str(_DURATION.dump_python(value, mode="json"))
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return str(value)


def _given_as_json(setting: Setting, environment: Mapping[str, str]) -> frozenset[str]:
    """Names that a variable of the whole section gives."""
    text = next(
        (
            value
            for name, value in environment.items()
            if setting.section and name.upper() == f"{PREFIX}{setting.section}".upper()
        ),
        None,
    )
    if text is None:
        return frozenset()
    given: Any = json.loads(text)
    return frozenset(given) if isinstance(given, dict) else frozenset()
