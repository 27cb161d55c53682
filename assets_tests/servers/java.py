"""What a server that runs on Java needs: Java itself, and its jars, found with Maven.

Belongs here: whether they are there, and the class path. Does not belong here: any server.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_MAVEN_SECONDS = 280.0
_JAVA_SECONDS = 60.0


class JavaMissingError(Exception):
    """Java, Maven or the jars cannot be had on this machine; the message says which."""


@dataclass(frozen=True)
class JavaRuntime:
    """Programs of one installation of Java, and the jars of one ``pom.xml``."""

    java: str
    keytool: str
    class_path: str


def java_runtime(pom: Path, shared: Path, *, at_least: int = 17) -> JavaRuntime:
    """Find Java, and resolve the dependencies of ``pom`` into Maven's own repository.

    Args:
        pom: names the jars.
        shared: a folder that all test processes of this session have in common: Maven does not
            like to be run twice at once on an empty repository, so one of them resolves.
        at_least: major version of Java that the jars need.

    Raises:
        JavaMissingError: something of it is not to be had.
    """
    java, keytool, maven = (shutil.which(name) for name in ("java", "keytool", "mvn"))
    if java is None or keytool is None:
        raise JavaMissingError(f"no Java on this machine: install Java {at_least} or newer")
    if maven is None:
        raise JavaMissingError("no Maven (mvn) on this machine, which finds the jars")
    found = _major_version(java)
    if found < at_least:
        raise JavaMissingError(f"Java {at_least} or newer is needed; `java` is version {found}")
    return JavaRuntime(java, keytool, _class_path_once(maven, pom, shared))


def _major_version(java: str) -> int:
    try:
        asked = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=_JAVA_SECONDS, check=False
        )
    except OSError as error:
        raise JavaMissingError(f"`java` cannot be run: {error}") from error
    said = asked.stderr + asked.stdout
    version = re.search(r'version "(\d+)', said)
    if asked.returncode != 0 or version is None:
        raise JavaMissingError(f"`java -version` says no version: {said.strip()[:200]}")
    return int(version[1])


def _class_path_once(maven: str, pom: Path, shared: Path) -> str:
    """The class path; the process that comes first asks Maven, the others wait for its answer."""
    done, problem = shared / f"{pom.parent.name}.classpath", shared / f"{pom.parent.name}.problem"
    try:
        (shared / f"{pom.parent.name}.lock").touch(exist_ok=False)
    except FileExistsError:
        deadline = time.monotonic() + _MAVEN_SECONDS
        while not done.exists() and not problem.exists():
            if time.monotonic() > deadline:
                raise JavaMissingError("Maven is still at work in another test process") from None
            time.sleep(0.1)
    else:
        _resolve(maven, pom, done, problem)
    if problem.exists():
        raise JavaMissingError(problem.read_text(encoding="utf-8"))
    return done.read_text(encoding="utf-8")


def _resolve(maven: str, pom: Path, done: Path, problem: Path) -> None:
    unfinished = done.with_suffix(".part")
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:build-classpath"]
    try:
        asked = subprocess.run(
            [*command, f"-Dmdep.outputFile={unfinished}"],
            capture_output=True,
            text=True,
            timeout=_MAVEN_SECONDS,
            check=False,
        )
        said = "" if asked.returncode == 0 else (asked.stdout + asked.stderr).strip()[:500]
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said or not unfinished.exists():
        _write(problem, f"Maven did not find the jars of {pom.name} ({pom.parent.name}): {said}")
    else:
        unfinished.replace(done)


def _write(path: Path, text: str) -> None:
    """Whoever waits for the file must not read the half of it."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
