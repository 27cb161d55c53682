"""Probes of this machine: versions, space, folders and reference files.

Belongs here: what is local and needs no server. Does not belong here: the lake or the warehouse.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.doctor.probing import Diagnosis, Probe, failed, ok, warning
from adx_platform.reference.files import ReferenceDataError, load_reference
from adx_platform.settings import Settings

SHOWN_PACKAGES: Final = ("adx-platform", "dagster", "dbt-core", "duckdb", "deltalake", "polars")
_MIB: Final = 1024 * 1024
_OLDEST_PYTHON: Final = (3, 11)

FreeBytes = Callable[[Path], int]


@dataclass(frozen=True, slots=True)
class DiskBounds:
    """Free space below which a disk is called nearly full, and full."""

    warn_below: int = 5 * 1024 * _MIB
    fail_below: int = 512 * _MIB


def free_bytes(path: Path) -> int:
    """What this user may still write on the disk of ``path``."""
    return shutil.disk_usage(path).free


def machine_probes(
    settings: Settings, *, bounds: DiskBounds | None = None, free: FreeBytes = free_bytes
) -> list[Probe]:
    """Python, packages, home, disks, reference files."""
    return [
        Probe("python", _python),
        Probe("packages", _packages),
        Probe("home", lambda: _home(settings)),
        Probe("disk", lambda: _disks(settings, bounds or DiskBounds(), free)),
        Probe("reference files", lambda: _reference(settings)),
    ]


def _python() -> Iterator[Diagnosis]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < _OLDEST_PYTHON:
        yield failed("python", f"Python {found} is too old", "use Python 3.11, 3.12 or 3.13")
    else:
        yield ok("python", f"Python {found}")


def _packages() -> Iterator[Diagnosis]:
    try:
        needed = [Requirement(text) for text in requires("adx-platform") or []]
    except PackageNotFoundError:
        yield warning(
            "packages", "adx-platform is not installed, only on the path", "run `make install`"
        )
        return
    wrong = [text for item in needed if (text := _mismatch(item))]
    shown = ", ".join(f"{name} {_version(name)}" for name in SHOWN_PACKAGES)
    if wrong:
        yield failed("packages", "; ".join(wrong), "install the locked versions: `make install`")
    else:
        yield ok("packages", shown)


def _mismatch(needed: Requirement) -> str | None:
    if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
        return None
    found = _version(needed.name)
    if found is None:
        return f"{needed.name} is missing"
    if not needed.specifier.contains(found, prereleases=True):
        return f"{needed.name} is {found}, needed is {needed.specifier}"
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _home(settings: Settings) -> Iterator[Diagnosis]:
    home = settings.home
    if not home.exists():
        parent = existing(home)
        if os.access(parent, os.W_OK):
            yield ok("home", f"{home} will be made at the first use")
        else:
            yield failed(
                "home",
                f"{home} cannot be made: {parent} may not be written by this user",
                "set ADX_HOME to a folder of yours",
            )
    elif not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        yield failed(
            "home", f"{home} is no folder that this user may write", "set ADX_HOME, or its owner"
        )
    else:
        yield ok("home", str(home))


def _disks(settings: Settings, bounds: DiskBounds, free: FreeBytes) -> Iterator[Diagnosis]:
    storage = LakeStorage.from_settings(settings)
    paths = {"home": settings.home, "warehouse": settings.duckdb_path.parent}
    if storage.is_local:
        paths["lake"] = Path(storage.uri)
    found = {name: free(existing(path)) for name, path in paths.items()}
    least = min(found, key=lambda name: found[name])
    said = f"{_size(found[least])} free for {least} ({paths[least]})"
    remedy = (
        "free space: `adx maintain` removes old files of the lake; ADX_LAKE__RAW_RETENTION and "
        "ADX_HYGIENE__... keep less"
    )
    if found[least] < bounds.fail_below:
        yield failed("disk", f"the disk is full: only {said}", remedy)
    elif found[least] < bounds.warn_below:
        yield warning("disk", f"the disk is nearly full: only {said}", remedy)
    else:
        yield ok("disk", said)


def _reference(settings: Settings) -> Iterator[Diagnosis]:
    folder = settings.reference_dir
    part = "reference files"
    if not folder.is_dir():
        yield failed(
            part,
            f"there is no folder {folder}",
            "put the reference files there, or make a market's with `adx simulate`",
        )
        return
    try:
        data = load_reference(folder)
    except ReferenceDataError as error:
        first = error.problems[0]
        more = f", and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
        yield failed(part, f"{folder}: {first}{more}", "correct the files; they are loaded again")
    except OSError as error:
        yield failed(part, f"cannot be read: {error}", "give this user the right to read them")
    else:
        yield ok(part, f"{len(data.tables)} tables in {folder}, version {data.version[:12]}")


def existing(path: Path) -> Path:
    """``path``, or the nearest folder above it that exists."""
    return next(item for item in (path, *path.parents) if item.exists())


def _size(count: int) -> str:
    if count >= 1024 * _MIB:
        return f"{count / (1024 * _MIB):,.1f} GiB"
    return f"{count / _MIB:,.0f} MiB"
