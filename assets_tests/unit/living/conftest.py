"""Real processes for tests, ended at the end of each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adx_platform.living.process_tree import end
from adx_platform.local_process import LocalProcess
from adx_platform.settings import Settings, load_settings

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def home(no_adx_variables: None, tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


@pytest.fixture
def make_process(tmp_path: Path) -> Iterator[Callable[..., LocalProcess]]:
    made: list[LocalProcess] = []

    def make(name: str, code: str = SLEEP, folder: Path = tmp_path) -> LocalProcess:
        process = LocalProcess(
            record=folder / "run" / f"{name}.json",
            command=[sys.executable, "-c", code],
            log=folder / "logs" / f"{name}.log",
            cwd=tmp_path,
        )
        made.append(process)
        return process

    yield make
    for process in made:
        started = process.running()
        if started is not None:
            end((started.pid,), seconds=0)
