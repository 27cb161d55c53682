"""A Spark Thrift Server for tests: HiveServer2's protocol, a Hive metastore, Spark SQL behind them.

Belongs here: starting and stopping it. Does not belong here: tables. What it shows of a real Hive
is its protocol and its metastore, not its engine.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from assets_tests.servers.ending import end

_HOST = "127.0.0.1"
_READY_SECONDS = 120.0
_HEAP = "2g"


def spark_home() -> Path | None:
    """The folder of pyspark with its jars; null where it is not installed, or Java is not."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None or shutil.which("java") is None:
        return None
    return Path(found.origin).parent


class SparkThrift:
    """One server with a folder of its own: metastore, warehouse, scratch."""

    def __init__(self, home: Path, folder: Path, port: int) -> None:
        """Describe the server; nothing is started.

        Args:
            home: see :func:`spark_home`.
            folder: an existing, empty folder.
            port: where it listens, on 127.0.0.1 only.
        """
        self.host = _HOST
        self.port = port
        self._home = home
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            RuntimeError: it ended, or is not ready in time; the message has the end of its log.
        """
        log = self._folder / "thrift.log"
        metastore = f"jdbc:derby:;databaseName={self._folder / 'metastore'};create=true"
        configuration = {
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": _HOST,
            "spark.driver.host": _HOST,
            "spark.sql.warehouse.dir": str(self._folder / "warehouse"),
            "spark.local.dir": str(self._folder / "scratch"),
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.session.timeZone": "UTC",
            "spark.driver.extraJavaOptions": (
                f"-Duser.timezone=UTC -Dderby.system.home={self._folder}"
            ),
            "spark.hadoop.hive.exec.dynamic.partition.mode": "nonstrict",
            "spark.hadoop.hive.exec.scratchdir": str(self._folder / "hive"),
            "spark.hadoop.javax.jdo.option.ConnectionURL": metastore,
        }
        command = [
            str(self._home / "bin" / "spark-submit"),
            "--master", "local[2]", "--driver-memory", _HEAP,
            "--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
            *(f"--conf={name}={value}" for name, value in configuration.items()),
            "spark-internal",
            "--hiveconf", f"hive.server2.thrift.port={self.port}",
            "--hiveconf", f"hive.server2.thrift.bind.host={_HOST}",
        ]  # fmt: skip
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, "SPARK_HOME": str(self._home), "SPARK_LOCAL_IP": _HOST},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(encoding="utf-8", errors="replace")[-2_000:]
                self.stop()
                raise RuntimeError(f"the Thrift server did not start: {said}")
            time.sleep(0.5)

    def stop(self) -> None:
        """End the server."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection((_HOST, self.port), timeout=1):
                return True
        except OSError:
            return False
