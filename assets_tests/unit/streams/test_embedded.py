from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from adx_platform.local_process import start_marker
from adx_platform.settings import KafkaSettings, Settings
from adx_platform.streams import embedded as embedded_module
from adx_platform.streams.embedded import EmbeddedBroker, embedded_broker
from adx_platform.streams.errors import EmbeddedBrokerError


def broker(folder: Path, port: int = 19092) -> EmbeddedBroker:
    return EmbeddedBroker(folder / "broker", port, folder / "broker.log")


def settings(home: Path, servers: str) -> Settings:
    return Settings(home=home, kafka=KafkaSettings(bootstrap_servers=servers))


def test_settings_say_where_it_is(tmp_path: Path) -> None:
    made = embedded_broker(settings(tmp_path, "localhost:29999"))
    assert made.bootstrap_servers == "127.0.0.1:29999"
    assert made.status().data_bytes == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("servers", ["kafka.example:9092", "127.0.0.1:1,127.0.0.1:2", "127.0.0.1"])
def test_another_address_cannot_be_embedded(tmp_path: Path, servers: str) -> None:
    with pytest.raises(EmbeddedBrokerError, match=r"listens on 127\.0\.0\.1 only"):
        embedded_broker(settings(tmp_path, servers))


def test_a_missing_package_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, embedded_module._PACKAGE, None)
    with pytest.raises(
        EmbeddedBrokerError, match=r"adx-platform\[embedded\].*ADX_KAFKA__BOOTSTRAP_SERVERS"
    ):
        broker(tmp_path).start()


def pid_file(folder: Path, content: str) -> None:
    (folder / "broker").mkdir()
    (folder / "broker" / "broker.json").write_text(content, encoding="utf-8")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        json.dumps({"pid": 2**22 + 12345, "marker": "ticks:1", "port": 19092}),
        # The id was given to another process: this one. It must never be stopped.
        json.dumps({"pid": os.getpid(), "marker": "ticks:1", "port": 19092}),
    ],
    ids=["empty", "no fields", "no object", "no process", "another process"],
)
def test_a_stale_note_is_not_a_broker_and_stops_nobody(tmp_path: Path, content: str) -> None:
    pid_file(tmp_path, content)
    assert broker(tmp_path).status().running is False
    assert broker(tmp_path).stop() is False


def test_a_broker_on_another_port_is_pointed_out(tmp_path: Path) -> None:
    marker = start_marker(os.getpid())
    pid_file(tmp_path, json.dumps({"pid": os.getpid(), "marker": marker, "port": 29091}))
    assert broker(tmp_path).status().bootstrap_servers == "127.0.0.1:29091"
    with pytest.raises(EmbeddedBrokerError, match="runs on port 29091, not 19092"):
        broker(tmp_path).start()
