"""What the service manager is told, over a socket that the test listens on."""

from __future__ import annotations

import logging
import socket
import tempfile
from pathlib import Path

import pytest

from adx_platform.pipeline import systemd

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="systemd is on Linux, and Windows lacks its sockets"
)


def test_the_service_manager_gets_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not in tmp_path: a socket's path is limited to about a hundred characters.
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        path = str(Path(folder) / "notify")
        manager.bind(path)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        assert systemd.notify(systemd.READY)
        assert manager.recv(64) == b"READY=1"
        assert systemd.notify(systemd.ALIVE)
        assert manager.recv(64) == b"WATCHDOG=1"


def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify(systemd.READY)


def test_a_service_manager_that_is_gone_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone")[-90:])
    with caplog.at_level(logging.WARNING):
        assert not systemd.notify(systemd.STOPPING)
    assert "was not told STOPPING=1" in caplog.text
