"""The supervisor behind `adx dev`: keeps every part of the platform running until it is stopped.

Belongs here: which services there are, in which order they start, and the end of them all. Does not
belong here: the life of one service (``services``), faults (``random_faults``), the command line.

`dagster dev` would do a part of this, but ignores SIGTERM for 20 s (measured), and its code servers
survive it. So the webserver and the daemon are started one by one, each in a session of its own,
and whatever is left of a session when the time is over is killed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from adx_platform.errors import AdxError
from adx_platform.living.brokers import broker_to_run
from adx_platform.living.journal import STOPPED, Journal
from adx_platform.living.orders import take_orders
from adx_platform.living.process_tree import end
from adx_platform.living.programs import (
    CODE,
    DAEMON,
    HOST,
    INGEST,
    MARKET,
    SUPERVISOR,
    WEBSERVER,
    MarketOptions,
    dagster_programs,
    free_port,
    ingest_program,
    is_listening,
    market_program,
    records,
    require_free,
    write_workspace,
)
from adx_platform.living.services import BrokerProgram, ProcessProgram, Supervised
from adx_platform.living.status import status_line
from adx_platform.living.stopping import stop_home, stop_programs
from adx_platform.local_process import LocalProcess
from adx_platform.settings import Settings

BROKER: Final = "broker"
_LOOK_SECONDS: Final = 0.25
_STATUS_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 3.0


class Mischief(Protocol):
    """What breaks something now and then."""

    def look(self, now: float) -> str | None:
        """Break something where it is due; returns what, in words."""


@dataclass(frozen=True, slots=True)
class DevOptions:
    """How `adx dev` runs.

    Attributes:
        ui_port: where the UI listens.
        market: the market's options.
    """

    ui_port: int
    market: MarketOptions


class Supervisor:
    """One life of the platform of a home."""

    def __init__(
        self,
        settings: Settings,
        options: DevOptions,
        *,
        tell: Callable[[str], None],
        mischief: Mischief | None = None,
    ) -> None:
        """Describe it; nothing is started.

        Args:
            settings: of the home.
            options: how it runs.
            tell: takes one line for a person.
            mischief: breaks something now and then.
        """
        self._settings = settings
        self._options = options
        self._tell = tell
        self._mischief = mischief
        self._journal = Journal.of(settings)
        self._health_port = settings.follow.health_port or free_port()
        self._code_port = free_port()
        self._services: dict[str, Supervised] = {}
        self._record = records(settings)[SUPERVISOR]

    def run(self, stop: Event) -> None:
        """Start everything, keep it running, and stop it all once ``stop`` is set.

        Raises:
            AdxError: another supervisor runs in this home, a port is taken, or the models cannot
                be parsed.
        """
        self._clear_the_way()
        self._record.record_this()
        try:
            if self._prepare(stop):
                self._keep(stop)
        finally:
            self._stop_all()
            self._record.forget()

    def _clear_the_way(self) -> None:
        running = self._record.running()
        if running is not None:
            raise AdxError(
                f"the platform of {self._settings.home} runs already (process {running.pid}): stop "
                "it with `adx down`, or set ADX_HOME to another folder"
            )
        # A supervisor that was killed has left its children.
        left = stop_home(self._settings)
        if left:
            self._tell(f"stopped what an earlier run has left: {', '.join(left)}")
        require_free(self._options.ui_port, "`--ui-port`")

    def _prepare(self, stop: Event) -> bool:
        """Start the broker and the market; meanwhile get Dagster's things ready."""
        broker = broker_to_run(self._settings)
        if broker is not None:
            program = BrokerProgram(broker)
            self._add(BROKER, program)
            self._services[BROKER].look(time.monotonic())
        log = self._settings.home / "logs" / "prepare.log"
        with _preparing(log) as preparing:
            self._tell("preparing: the broker, dbt's models, Dagster's instance")
            while preparing.poll() is None or (broker is not None and not program.is_ready):
                if stop.wait(_LOOK_SECONDS):
                    _end(preparing)
                    return False
                self._look_at_all()
                if broker is not None and program.is_ready and MARKET not in self._services:
                    self._add_market()
            if preparing.returncode != 0:
                raise AdxError(f"Dagster cannot be prepared: see {log}")
        if MARKET not in self._services:
            self._add_market()
        self._add_rest()
        self._tell(f"UI       http://{HOST}:{self._options.ui_port} (in about 20 s)")
        self._tell(f"home     {self._settings.home} (logs are in its folder logs)")
        self._tell("stop with Ctrl-C")
        return True

    def _add_market(self) -> None:
        options = self._options.market
        self._add(MARKET, ProcessProgram(lambda _: market_program(self._settings, options)))

    def _add_rest(self) -> None:
        settings, port = self._settings, self._options.ui_port
        self._add(
            INGEST,
            ProcessProgram(
                lambda environment: ingest_program(
                    settings, health_port=self._health_port, environment=environment
                )
            ),
        )
        write_workspace(settings, self._code_port)
        self._add(CODE, ProcessProgram(_dagster(settings, port, self._code_port, CODE)))

    def _add_dagster(self) -> None:
        """Once the definitions are served: whoever does not find them asks again in a minute."""
        for name in (DAEMON, WEBSERVER):
            make = _dagster(self._settings, self._options.ui_port, self._code_port, name)
            self._add(name, ProcessProgram(make))

    def _add(self, name: str, program: ProcessProgram | BrokerProgram) -> None:
        self._services[name] = Supervised(name, program, self._journal, self._tell)

    def _keep(self, stop: Event) -> None:
        told = time.monotonic()
        while not stop.wait(_LOOK_SECONDS):
            self._look_at_all()
            if DAEMON not in self._services and is_listening(self._code_port):
                self._add_dagster()
            now = time.monotonic()
            if self._mischief is not None and (done := self._mischief.look(now)):
                self._tell(f"fault: {done}")
            if now - told >= _STATUS_SECONDS:
                self._tell(status_line(self._settings, self._health_port))
                told = now

    def _look_at_all(self) -> None:
        now = time.monotonic()
        for order in take_orders(self._settings):
            service = self._services.get(order.service)
            if service is None:
                self._tell(f"there is no service {order.service!r} to stop")
            else:
                service.carry_out(order, now)
        for service in self._services.values():
            service.look(now)

    def _stop_all(self) -> None:
        self._tell("stopping")
        known = records(self._settings)
        del known[SUPERVISOR]
        stopped = stop_programs(known, seconds=_STOP_SECONDS)
        # Last: who writes to it and reads from it should not see it go.
        broker = self._services.get(BROKER)
        if broker is not None:
            broker.program.stop()
        for name in (*stopped, BROKER):
            self._journal.note(STOPPED, name)


def _dagster(
    settings: Settings, ui_port: int, code_port: int, name: str
) -> Callable[[Mapping[str, str]], LocalProcess]:
    return lambda _environment: dagster_programs(settings, ui_port, code_port)[name]


def _preparing(log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "adx_platform.living.prepare"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    end((process.pid,), seconds=1.0)
