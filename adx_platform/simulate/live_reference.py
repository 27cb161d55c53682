"""The reference data of a market that goes on: all of it at first, then new rates day by day.

Belongs here: when which file is written. Does not belong here: its form (``reference_files``).

A file that is there already is somebody's and is kept; the exchange rates are the exception: they
are the feed that a finance system would send, so each new day replaces the whole file.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from adx_platform.simulate.reference_files import write_reference_files
from adx_platform.simulate.world import World

RATES_NAME: Final = "fx_rates.csv"
BROKEN_MARK: Final = ".rates-broken"
_DAYS_AHEAD: Final = 3
_BROKEN_RATES: Final = "rate_date,from_currency,to_currency,rate\nn/a,EUR,USD,#REF!\n"


class LiveReference:
    """Keeps the reference folder up to the simulated day."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._until: date | None = None
        self._is_broken = False

    def keep_up(self, now: datetime) -> None:
        """Make sure that the rates reach some days beyond ``now``.

        While :func:`break_rates` is in force the file is left as that made it.
        """
        is_broken = (self._folder / BROKEN_MARK).exists()
        wanted = now.date() + timedelta(days=_DAYS_AHEAD)
        if is_broken or (self._until == wanted and not self._is_broken):
            self._is_broken = is_broken
            return
        self._is_broken = False
        self._folder.mkdir(parents=True, exist_ok=True)
        rates = tuple(row for row in self._world.fx_rates if row[0] <= wanted)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".") as name:
            write_reference_files(replace(self._world, fx_rates=rates), Path(name))
            for path in sorted(Path(name).glob("*.csv")):
                target = self._folder / path.name
                if path.name == RATES_NAME or not target.exists():
                    path.replace(target)
        self._until = wanted


def break_rates(folder: Path) -> None:
    """Let the feed of rates send rubbish from now on, until :func:`mend_rates`."""
    (folder / BROKEN_MARK).touch()
    handle, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(_BROKEN_RATES)
    Path(name).replace(folder / RATES_NAME)


def mend_rates(folder: Path) -> None:
    """Let the feed of rates work again: a running market writes the whole file at its next look."""
    (folder / BROKEN_MARK).unlink(missing_ok=True)
