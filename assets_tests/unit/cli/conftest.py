"""`adx` in this process, exactly as its entry point runs it."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from adx_platform.cli import output
from adx_platform.cli.main import main
from adx_platform.observability import logs
from adx_platform.settings import current_settings

# Rich colours its output where it believes to be in GitHub's log viewer.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def words(self) -> str:
        """Everything that was said, on one line and without box drawing."""
        return " ".join(re.sub(r"[╭╮╰╯│─]", " ", self.stdout + self.stderr).split())


class Adx(Protocol):
    def __call__(self, *arguments: str) -> Outcome: ...


@pytest.fixture
def home(no_adx_variables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("ADX_HOME", str(folder))
    return folder


@pytest.fixture
def adx(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Adx]:
    monkeypatch.setenv("COLUMNS", "100")
    for console in (output.stdout, output.stderr):
        monkeypatch.setattr(console, "width", 100)

    def run(*arguments: str) -> Outcome:
        current_settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["adx", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, _COLOURS.sub("", said.out), _COLOURS.sub("", said.err))

    level = logging.getLogger().level
    yield run
    current_settings.cache_clear()
    # Each call has set this process's logging up.
    logs.reset()
    logging.getLogger().setLevel(level)
