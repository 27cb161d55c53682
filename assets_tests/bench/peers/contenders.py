"""The contenders: how each is started, what it reads, and how its output is counted.

Belongs here: command lines and what they need. Does not belong here: what they do (their own
modules), or what they cost.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from assets_tests.bench.peers import stored
from assets_tests.bench.peers.job import Job
from assets_tests.bench.peers.stored import Stored
from assets_tests.servers.java import JavaMissingError, java_runtime

CEILING: Final = "consume and discard"
LANDING: Final = "adx landing"
INGEST: Final = "adx ingest"

_MODULES: Final = "assets_tests.bench.peers"
_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[2]
_SPARK_CORES: Final = "local[2]"


class UnavailableError(Exception):
    """A contender cannot run on this machine; the message says what it lacks."""


class Tools:
    """What the contenders run with, looked for once."""

    def __init__(self, peers_python: Path, work: Path) -> None:
        """Take note of it; nothing is looked for yet.

        Args:
            peers_python: a Python that has ``requirements/peers.lock``, or some of it.
            work: a folder for what is found.
        """
        self.python = sys.executable
        self.peers_python = str(peers_python)
        self._work = work
        self._jars: str | None = None

    def require(self, *modules: str) -> None:
        """Make sure that the peers' Python has these modules.

        Raises:
            UnavailableError: it has not.
        """
        script = (
            f"from importlib.util import find_spec as f; print([m for m in {modules} if not f(m)])"
        )
        asked = subprocess.run(
            [self.peers_python, "-c", script], capture_output=True, text=True, check=True
        )
        if asked.stdout.strip() != "[]":
            raise UnavailableError(
                f"not installed: {asked.stdout.strip()}; `make bench-peers` does it"
            )

    def spark_jars(self) -> str:
        """Spark's connectors, from Maven.

        Raises:
            UnavailableError: there is no Java, no Maven, or no such jars.
        """
        if self._jars is None:
            try:
                runtime = java_runtime(_HERE / "spark_kafka" / "pom.xml", self._work)
            except JavaMissingError as missing:
                raise UnavailableError(str(missing)) from missing
            self._jars = runtime.class_path.replace(os.pathsep, ",")
        return self._jars

    def environment(self, home: Path) -> Mapping[str, str]:
        """For every program: no settings of this shell's, and nothing sent to anybody."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADX_", "SPARK_", "DLT_"))}
        return kept | {
            "PYTHONPATH": str(_ROOT),
            "PYSPARK_PYTHON": self.peers_python,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "DLT_DATA_DIR": str(home / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "NORMALIZE__DATA_WRITER__COMPRESSION": "zstd",
        }


@dataclass(frozen=True)
class Contender:
    """One way from a topic to Parquet.

    Attributes:
        name: for the tables.
        commands: given the tools and the job's file, the programs to be run side by side; raises
            ``UnavailableError``.
        count: what it stored.
        sound: it reads the topic without malformed messages: one of them would stop it.
        is_ours: it is no peer.
    """

    name: str
    commands: Callable[[Tools, Path], list[list[str]]]
    count: Callable[[Job], Stored]
    sound: bool = False
    is_ours: bool = False


def _adx(step: str, *lanes: tuple[int, ...]) -> Callable[[Tools, Path], list[list[str]]]:
    """A process for each element of ``lanes``, which names the lanes that it drains."""

    def commands(tools: Tools, job: Path) -> list[list[str]]:
        program = [tools.python, "-m", f"{_MODULES}.adx_lanes", str(job), step]
        return [[*program, *map(str, own)] for own in lanes]

    return commands


def _python(
    module: str, needs: tuple[str, ...], *arguments: str
) -> Callable[[Tools, Path], list[list[str]]]:
    def commands(tools: Tools, job: Path) -> list[list[str]]:
        tools.require(*needs)
        return [[tools.peers_python, "-m", f"{_MODULES}.{module}", str(job), *arguments]]

    return commands


def _spark(tools: Tools, job: Path) -> list[list[str]]:
    tools.require("pyspark")
    options = {
        "spark.ui.enabled": "false",
        "spark.log.level": "WARN",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(job.parent / "spark"),
        "spark.sql.warehouse.dir": str(job.parent / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
    }
    return [
        [
            str(Path(tools.peers_python).with_name("spark-submit")),
            *("--master", _SPARK_CORES, "--jars", tools.spark_jars()),
            *(word for name, value in options.items() for word in ("--conf", f"{name}={value}")),
            *(str(_HERE / "spark_stream.py"), str(job)),
        ]
    ]


_DECODERS = ("confluent_kafka", "orjson", "fastavro", "pyarrow")
CONTENDERS: Final = (
    Contender(CEILING, _python("consume", ("confluent_kafka",)), stored.nothing, is_ours=True),
    Contender(LANDING, _adx("land", (0,), (1,)), stored.landed, is_ours=True),
    Contender(INGEST, _adx("ingest", (0,), (1,)), stored.ingested, is_ours=True),
    Contender(f"{INGEST}, 1 process", _adx("ingest", (0, 1)), stored.ingested, is_ours=True),
    Contender("Spark Structured Streaming", _spark, stored.by_spark),
    Contender("dlt", _python("dlt_pipeline", ("dlt", *_DECODERS)), stored.by_dlt),
    Contender(
        "dlt, Arrow tables",
        _python("dlt_pipeline", ("dlt", *_DECODERS), "arrow"),
        stored.by_dlt,
        sound=True,
    ),
    Contender("plain loop", _python("plain_loop", _DECODERS), stored.by_plain_loop, sound=True),
)
