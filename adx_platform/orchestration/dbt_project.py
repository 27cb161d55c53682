"""The dbt project as the orchestration uses it: where it is, its manifest, its environment.

Belongs here: building the manifest once, and refusing to work without it. Does not belong here:
models (``dbt_project/``) or the assets made from them (``assets_dbt``).

The code location parses the project only where there is no manifest at all: Dagster starts a
process per run, and each would parse again (measured: 10 to 19 s per run). ``ensure_manifest`` is
called by the command line; whoever changes a model calls it again.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from dagster_dbt import DbtCliResource, DbtProject
from packaging.version import Version

import adx_platform
from adx_platform.errors import AdxError
from adx_platform.settings import Settings
from adx_platform.warehouse import dbt_program
from adx_platform.warehouse.profiles import DBT_TARGETS, dbt_environment

PROJECT_DIR_VARIABLE = "ADX_DBT_PROJECT_DIR"
MANIFEST_NAME = "manifest.json"
DBT_COMMAND = [sys.executable, "-m", dbt_program.__name__]
"""The dbt of this environment, whatever the search path says."""
BUILD_ARGUMENTS = [
    "build",
    # They test the SQL and not the data, in CI; a third of each build's time (15.9 s, 2026-11).
    "--exclude-resource-type",
    "unit_test",
    # Nobody reads what a build would write beside the manifest that there is: the manifest again,
    # twice, the graph and the results, which are Dagster's events. A log would repeat its output.
    "--no-write-json",
    "--log-level-file",
    "none",
]
"""How the marts are built; options follow."""
WITHOUT_VIEWS = ["--exclude", "config.materialized:view", "--indirect-selection", "empty"]
"""More options, for a warehouse whose views are those of the project. Their tests run even so."""
DIGEST_VARIABLE = "ADX_DBT_PROJECT_DIGEST"
"""What a view on DuckDB gets as its comment (``macros/build/view.sql``)."""
DIGEST_NAME = "project.digest"
_SOURCE_SUFFIXES = frozenset({".sql", ".yml", ".yaml", ".csv", ".md"})
_GENERATED = frozenset({"target", "logs", "dbt_packages"})


class InstalledDbt(DbtCliResource):
    """The command line of dbt, without what the base class prepares and nobody asks for.

    It asks ``dbt --version`` once per process, which starts another dbt (7 s of CPU measured) and
    looks up the newest releases in the network, each minute: the installed package knows. And it
    makes an adapter of its own in this process, for row counts and columns that we do not take from
    it (``assets_dbt``). Should a later release of dagster-dbt not use these two any more, nothing
    breaks.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    # The base class returns the adapter that it has made; its callers take none as well.
    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        """No adapter."""


class ManifestError(AdxError):
    """There is no usable manifest; the message says how to get one."""


def project_dir() -> Path:
    """Folder of the dbt project: beside the package, or where ``ADX_DBT_PROJECT_DIR`` says.

    Raises:
        ManifestError: there is no dbt project.
    """
    configured = os.environ.get(PROJECT_DIR_VARIABLE)
    beside = Path(adx_platform.__file__).resolve().parents[1] / "dbt_project"
    folder = Path(configured).absolute() if configured else beside
    if not (folder / "dbt_project.yml").is_file():
        raise ManifestError(
            f"no dbt project in {folder}: set {PROJECT_DIR_VARIABLE} to the folder that has "
            "dbt_project.yml"
        )
    return folder


def dbt_project(settings: Settings) -> DbtProject:
    """The project with its artifacts under ``settings.dbt_target_dir``.

    Raises:
        ManifestError: there is no dbt project.
    """
    return DbtProject(
        project_dir(),
        target_path=settings.dbt_target_dir,
        target=DBT_TARGETS[settings.warehouse.engine],
    )


def require_manifest(settings: Settings) -> Path:
    """Path of the manifest that ``ensure_manifest`` made.

    Raises:
        ManifestError: it was not made yet.
    """
    path = settings.dbt_target_dir / MANIFEST_NAME
    if not path.is_file():
        raise ManifestError(
            f"{path} is missing: make it with `python -m adx_platform.orchestration.dbt_project` "
            "(`adx up` and `make demo` do so)"
        )
    return path


def ensure_manifest(settings: Settings) -> Path:
    """Parse the dbt project unless the manifest is that of the present sources.

    Returns:
        Path of the manifest.

    Raises:
        ManifestError: dbt cannot parse the project; the message has dbt's own.
    """
    folder = project_dir()
    target = settings.dbt_target_dir
    manifest, digest_file = target / MANIFEST_NAME, target / DIGEST_NAME
    digest = project_digest(settings)
    if manifest.is_file() and _noted(digest_file) == digest:
        return manifest
    target.mkdir(parents=True, exist_ok=True)
    digest_file.unlink(missing_ok=True)
    _parse(settings, folder, target)
    digest_file.write_text(digest, encoding="utf-8")
    return manifest


def manifest_is_current(settings: Settings) -> bool:
    """Whether there is a manifest, and it is that of the present sources, release and warehouse.

    Raises:
        ManifestError: there is no dbt project.
    """
    target = settings.dbt_target_dir
    if not (target / MANIFEST_NAME).is_file():
        return False
    return _noted(target / DIGEST_NAME) == project_digest(settings)


def _noted(digest_file: Path) -> str:
    """The digest of the project that the manifest was made of."""
    return digest_file.read_text(encoding="utf-8") if digest_file.is_file() else ""


def project_digest(settings: Settings) -> str:
    """Changes with any source file of the project, the release of dbt, the target and its database.

    Raises:
        ManifestError: there is no dbt project.
    """
    folder = project_dir()
    target = DBT_TARGETS[settings.warehouse.engine]
    is_file = settings.warehouse.engine == "duckdb"
    database = settings.duckdb_path.stem if is_file else settings.warehouse.database
    digest = hashlib.sha256(f"{version('dbt-core')} {target} {database}".encode())
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.suffix in _SOURCE_SUFFIXES and not _GENERATED.intersection(relative.parts):
            digest.update(relative.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def first_manifest(settings: Settings) -> None:
    """Make the manifest if there is none at all, so that a fresh checkout loads in Dagster.

    Only the first process that loads the code location meets this; a run finds the manifest there.
    One that is out of date is left alone: a run must not wait for a parse.
    """
    if not (settings.dbt_target_dir / MANIFEST_NAME).is_file():
        ensure_manifest(settings)


def dbt_resource(settings: Settings) -> DbtCliResource:
    """The command line of dbt for this project.

    Raises:
        ManifestError: there is no dbt project.
    """
    return InstalledDbt(
        project_dir=os.fspath(project_dir()),
        profiles_dir=os.fspath(project_dir()),
        target=DBT_TARGETS[settings.warehouse.engine],
        dbt_executable=DBT_COMMAND[0],
        global_config_flags=DBT_COMMAND[1:],
    )


@contextmanager
def dbt_process_environment(settings: Settings) -> Iterator[None]:
    """Put dbt's variables into this process's environment for the time of the block.

    dagster-dbt hands its own environment to dbt and takes no other; the warehouse's password must
    not stay behind in it.
    """
    values = {**_environment(settings), DIGEST_VARIABLE: project_digest(settings)}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _environment(settings: Settings) -> Mapping[str, str]:
    return {
        **dbt_environment(settings),
        # Where the partial parse lies that every run starts from.
        "DBT_TARGET_PATH": os.fspath(settings.dbt_target_dir),
    }


def run_dbt(
    settings: Settings, folder: Path, target: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run dbt on the project in ``folder``, with its artifacts and log in ``target``.

    Args:
        settings: where the warehouse is.
        folder: of the project.
        target: where artifacts go.
        arguments: the command and its options.

    Returns:
        Whether it went well, and what it said; nothing is raised if it did not.
    """
    command = [
        *DBT_COMMAND,
        "--no-use-colors",
        *arguments,
        "--project-dir",
        os.fspath(folder),
        "--profiles-dir",
        os.fspath(folder),
        "--target",
        DBT_TARGETS[settings.warehouse.engine],
        "--target-path",
        os.fspath(target),
        "--log-path",
        os.fspath(target),
    ]
    return subprocess.run(  # noqa: S603 our own executable and paths
        command,
        env={**os.environ, **_environment(settings)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def _parse(settings: Settings, folder: Path, target: Path) -> None:
    done = run_dbt(settings, folder, target, "parse")
    if done.returncode != 0:
        raise ManifestError(f"dbt cannot parse {folder}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    from adx_platform.settings import current_settings

    sys.stdout.write(f"{ensure_manifest(current_settings())}\n")
