"""A real S3 store for tests: SeaweedFS, from the program that a wheel brings.

Belongs here: starting and stopping it, and how to reach it. Does not belong here: what is stored.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from adx_platform.lake.errors import LakeUnavailable
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import raw_table
from adx_platform.settings import LakeSettings
from assets_tests.servers.ending import end
from assets_tests.servers.ports import free_port

BUCKET: Final = "lake"
ACCESS_KEY: Final = "test-access"
SECRET: Final = "test-secret-of-this-server"

_HOST: Final = "127.0.0.1"
_READY_SECONDS: Final = 60.0
_PORTS: Final = (
    *("s3.port", "s3.port.grpc", "s3.port.lance", "master.port", "master.port.grpc"),
    *("filer.port", "filer.port.grpc", "volume.port", "volume.port.grpc"),
    *("admin.port", "admin.port.grpc"),
)


def installed_program() -> str | None:
    """``weed``, beside this Python or on the path."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


class SeaweedFS:
    """One server with one bucket."""

    def __init__(self, program: str, folder: Path) -> None:
        """Describe it; nothing is started.

        Args:
            program: see :func:`installed_program`.
            folder: an empty one, for what is stored.
        """
        ports: dict[str, int] = {}
        while len(set(ports.values())) < len(_PORTS):
            ports = {name: free_port() for name in _PORTS}
        self.address = f"{_HOST}:{ports['s3.port']}"
        self._folder = folder
        self._command = [
            *(program, "mini", f"-dir={folder}", f"-ip={_HOST}", f"-ip.bind={_HOST}"),
            *(f"-{name}={port}" for name, port in ports.items()),
            *("-s3.port.iceberg=0", "-webdav=false", "-admin.ui=false", f"-bucket={BUCKET}"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, folder: str) -> LakeSettings:
        """The platform's settings for a lake in ``folder`` of the bucket."""
        return LakeSettings(
            uri=f"s3://{BUCKET}/{folder}",
            s3_endpoint=f"http://{self.address}",
            s3_access_key_id=ACCESS_KEY,
            s3_secret_access_key=SecretStr(SECRET),
            s3_allow_http=True,
        )

    def start(self) -> None:
        """Start it, and wait until the bucket, which it creates last, can be asked."""
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=os.environ | keys,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"SeaweedFS did not get ready: {log_text}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            end(self._process)

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"http://{self.address}/", timeout=1).close()
        except urllib.error.HTTPError:
            try:
                probe = LakeStorage.at(f"s3://{BUCKET}/probe", self.settings("probe"))
                return raw_table(probe, "probe").find() is None
            except LakeUnavailable:
                return False
        except OSError:
            return False
        return False
