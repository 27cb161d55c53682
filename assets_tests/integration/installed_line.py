"""A home folder of its own, driven by the command line as a person would."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class InstalledLine:
    """Where the platform keeps its state, and the environment that says so."""

    home: Path
    environment: dict[str, str]

    @classmethod
    def at(cls, home: Path, clean: dict[str, str], port: int, **variables: str) -> Self:
        servers = f"127.0.0.1:{port}"
        own = {"ADX_HOME": str(home), "ADX_KAFKA__BOOTSTRAP_SERVERS": servers, "COLUMNS": "200"}
        return cls(home, {**clean, **own, **variables})

    def adx(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("adx")), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that must succeed."""
        done = self.adx(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the published marts."""
        found: list[dict[str, Any]] = json.loads(self.run("query", "--json", sql).stdout)
        return found
