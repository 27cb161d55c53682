"""The rules of the house, kept by machine: who imports whom, and that code explains itself."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import adx_platform
from adx_platform import settings
from adx_platform.settings import Section, Settings

PACKAGE = Path(adx_platform.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
IDS = [str(path.relative_to(PACKAGE)) for path in MODULES]
DAGSTER = ("dagster", "dagster_dbt", "dagster_aws", "dagster_shared")
TOP_FLOOR = (PACKAGE / "orchestration", PACKAGE / "definitions.py")
LINT_IMPORTS = """
import sys
from importlinter.cli import lint_imports_command
sys.exit(lint_imports_command())
"""
# What such a value means is in its name, and Kafka's, AWS's or the database's manual explains it.
PLAIN_NAMES = (
    "host", "port", "user", "username", "password", "database", "url", "engine", "profile",
    "threads", "key_id", "region", "timeout_seconds", "sasl_", "ssl_", "sslmode",
    "security_protocol", "secret_access_key", "allow_http",
)  # fmt: skip


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.module or ""


def test_the_scan_sees_the_package() -> None:
    assert len(MODULES) > 150
    assert any(name.startswith("dagster") for p in MODULES for name in imports_of(p))


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_only_the_top_floor_imports_dagster(path: Path) -> None:
    # The layer contract cannot see imports inside functions of modules it does not list.
    found = [name for name in imports_of(path) if name.split(".")[0] in DAGSTER]
    on_top = any(path == top or top in path.parents for top in TOP_FLOOR)
    assert on_top or found == []


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_a_module_says_what_belongs_in_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, "no docstring"
    first, _, rest = docstring.partition("\n")
    assert first.endswith((".", ":", "?")), "the first line is a sentence"
    if path.name == "__init__.py" and len(ast.parse(text).body) == 1:
        return
    assert "Belongs here:" in " ".join(rest.split())


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_a_module_is_of_a_size_that_can_be_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_the_contracts_between_floors_hold() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache"],
        cwd=ROOT,
        env={**environment, "PYTHONIOENCODING": "utf-8", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def sections() -> list[type[Section]]:
    found = [
        value
        for value in vars(settings).values()
        if isinstance(value, type) and issubclass(value, Section) and value is not Section
    ]
    assert len(found) >= 8
    return found


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_setting_explains_itself(section: type[Section]) -> None:
    assert section.__doc__, "no docstring"
    silent = [
        name
        for name, field in section.model_fields.items()
        if not field.description and not any(plain in name for plain in PLAIN_NAMES)
    ]
    assert silent == []


def test_every_section_is_in_the_tree() -> None:
    in_tree = {field.annotation for field in Settings.model_fields.values()}
    assert set(sections()) <= in_tree


def test_secrets_are_secret_by_type() -> None:
    for section in sections():
        for name, field in section.model_fields.items():
            if name.endswith(("password", "secret_access_key")) or name in {"key", "previous_key"}:
                assert "SecretStr" in str(field.annotation), f"{section.__name__}.{name}"


def test_the_tests_environment_has_what_the_demo_needs() -> None:
    """`make` takes the one for the other once it is installed."""

    def pinned(lock: str) -> set[str]:
        lines = (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines()
        return {
            line.split()[0] for line in lines if "==" in line and not line.startswith(("#", " "))
        }

    assert len(pinned("runtime.lock")) > 50
    assert pinned("runtime.lock") <= pinned("dev.lock")
