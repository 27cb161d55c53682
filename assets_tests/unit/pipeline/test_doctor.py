"""Each thing that can be wrong is named, with what to do; nothing hides the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adx_platform.observability.masking import Masker
from adx_platform.pipeline.doctor.machine import DiskBounds, machine_probes
from adx_platform.pipeline.doctor.probing import Diagnosis, Probe, Verdict, examine, ok
from adx_platform.pipeline.doctor.servers import server_probes
from adx_platform.pipeline.doctor.stores import store_probes
from adx_platform.quality.incidents.model import Finding, Severity, Source
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.settings import Settings, load_settings

NOW = datetime.now(UTC)
ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0
unprivileged = pytest.mark.skipif(
    ROOT_USER or os.name == "nt", reason="the administrator may read everything"
)


@pytest.fixture
def settings(no_adx_variables: None, tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home")


def told(probes: Iterable[Probe], part: str) -> Diagnosis:
    chosen = [probe for probe in probes if probe.part == part]
    (found,) = examine(chosen, timeout_seconds=30, mask=str)
    return found


def changed(settings: Settings, section: str, **values: Any) -> Settings:
    return load_settings(home=settings.home, **{section: values})


def test_a_probe_that_breaks_or_hangs_hides_no_other() -> None:
    released = threading.Event()

    def broken() -> list[Diagnosis]:
        raise ZeroDivisionError("the-secret")

    def hanging() -> list[Diagnosis]:
        released.wait(30)
        return []

    probes = [
        Probe("hanging", hanging),
        Probe("broken", broken),
        Probe("fine", lambda: [ok("fine", "two\nlines"), ok("finer", "b")]),
    ]
    found = examine(probes, timeout_seconds=0.5, mask=Masker(["the-secret"]))
    released.set()
    assert [(item.part, item.verdict) for item in found] == [
        ("hanging", Verdict.FAILED),
        ("broken", Verdict.FAILED),
        ("fine", Verdict.OK),
        ("finer", Verdict.OK),
    ]
    assert found[0].cause == "no answer within 0.5 s"
    assert "ZeroDivisionError: ***" in found[1].cause
    assert found[2].cause == "two lines"


@pytest.mark.parametrize(
    ("free", "verdict", "words"),
    [
        (100, Verdict.FAILED, "the disk is full: only 0 MiB free"),
        (2_000_000, Verdict.WARNING, "the disk is nearly full"),
        (5_000_000_000, Verdict.OK, "4.7 GiB free"),
    ],
)
def test_a_full_disk(settings: Settings, free: int, verdict: Verdict, words: str) -> None:
    bounds = DiskBounds(warn_below=3_000_000, fail_below=1_000_000)
    found = told(machine_probes(settings, bounds=bounds, free=lambda _: free), "disk")
    assert found.verdict == verdict
    assert words in found.cause
    assert bool(found.remedy) == (verdict != Verdict.OK)


def test_the_fullest_disk_is_named(settings: Settings, tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    elsewhere = changed(settings, "lake", uri=str(far / "lake"))
    probes = machine_probes(elsewhere, free=lambda path: 10 if path == far else 10**12)
    assert f"free for lake ({far / 'lake'})" in told(probes, "disk").cause


def test_a_home_that_is_a_file(settings: Settings) -> None:
    settings.home.write_text("no folder")
    found = told(machine_probes(settings), "home")
    assert (found.verdict, "ADX_HOME" in found.remedy) == (Verdict.FAILED, True)


def test_python_and_packages_are_those_of_this_environment(settings: Settings) -> None:
    probes = machine_probes(settings)
    assert told(probes, "python") == ok("python", f"Python {sys.version.split()[0]}")
    packages = told(probes, "packages")
    assert packages.verdict == Verdict.OK, packages
    assert f"duckdb {duckdb.__version__}" in packages.cause


def test_no_reference_files(settings: Settings) -> None:
    found = told(machine_probes(settings), "reference files")
    assert found.verdict == Verdict.FAILED
    assert "adx simulate" in found.remedy


def test_reference_files_that_are_wrong(settings: Settings) -> None:
    settings.reference_dir.mkdir(parents=True)
    (settings.reference_dir / "campaigns.csv").write_bytes(b"\xff\xfe")
    found = told(machine_probes(settings), "reference files")
    assert found.verdict == Verdict.FAILED
    assert "more" in found.cause


@unprivileged
def test_reference_files_that_may_not_be_read(settings: Settings) -> None:
    settings.reference_dir.mkdir(parents=True)
    (settings.reference_dir / "campaigns.csv").touch(mode=0)
    assert "right to read" in told(machine_probes(settings), "reference files").remedy


def test_a_lake_on_disk_leaves_nothing_behind(settings: Settings) -> None:
    settings.home.mkdir()
    assert told(server_probes(settings), "lake").verdict == Verdict.OK
    assert list(settings.home.iterdir()) == []


def test_a_lake_that_is_a_file(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "lake").write_text("no folder")
    found = told(server_probes(settings), "lake")
    assert (found.verdict, "ADX_LAKE__URI" in found.remedy) == (Verdict.FAILED, True)


def test_a_lake_of_an_unknown_kind(settings: Settings) -> None:
    found = told(server_probes(changed(settings, "lake", uri="gopher://x")), "lake")
    assert (found.verdict, found.remedy) == (Verdict.FAILED, "correct ADX_LAKE__URI")


def test_no_store_at_the_endpoint(settings: Settings) -> None:
    lake = changed(
        settings,
        "lake",
        uri="s3://bucket/adx",
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key_id="key",
        s3_secret_access_key="hush",
        s3_allow_http=True,
    )
    found = told(server_probes(lake), "lake")
    assert found.verdict == Verdict.FAILED
    assert "ADX_LAKE__S3_ENDPOINT" in found.remedy


def test_no_broker(settings: Settings) -> None:
    kafka = changed(settings, "kafka", bootstrap_servers="127.0.0.1:9")
    found = told(server_probes(kafka, patience_seconds=1.0), "broker")
    assert found.verdict == Verdict.FAILED
    assert "no usable answer from the broker at 127.0.0.1:9" in found.cause
    assert "adx up" in found.remedy


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refused the credentials"), (500, "answered HTTP 500")]
)
def test_a_registry_that_refuses(settings: Settings, status: int, words: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        registry = changed(settings, "registry", url=url, username="u", password="hush-hush")
        found = told(server_probes(registry), "schema registry")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert found.verdict == Verdict.FAILED
    assert words in found.cause
    assert "hush-hush" not in found.cause


def test_a_registry_of_files(settings: Settings) -> None:
    assert told(server_probes(settings), "schema registry").verdict == Verdict.OK


def warehouse(settings: Settings) -> Diagnosis:
    return told(store_probes(settings, now=NOW), "warehouse")


def test_no_warehouse_yet(settings: Settings) -> None:
    assert warehouse(settings).verdict == Verdict.OK
    assert not settings.duckdb_path.exists()


def test_a_damaged_warehouse(settings: Settings) -> None:
    settings.duckdb_path.parent.mkdir(parents=True)
    settings.duckdb_path.write_bytes(b"garbage" * 1_000)
    found = warehouse(settings)
    assert (found.verdict, "adx build" in found.remedy) == (Verdict.FAILED, True)


@unprivileged
def test_a_warehouse_that_may_not_be_read(settings: Settings) -> None:
    settings.duckdb_path.parent.mkdir(parents=True)
    duckdb.connect(str(settings.duckdb_path)).close()
    settings.duckdb_path.chmod(0)
    assert "may not read" in warehouse(settings).cause


def test_who_has_the_warehouse_open_is_named(settings: Settings) -> None:
    settings.duckdb_path.parent.mkdir(parents=True)
    program = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table t(i int)');"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(settings.duckdb_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        found = warehouse(settings)
        holder.communicate("")
    assert found.verdict == Verdict.WARNING
    assert "has" in found.cause
    if sys.platform == "linux":
        assert f"process {holder.pid} has" in found.cause
    assert warehouse(settings) == ok("warehouse", f"{settings.duckdb_path}: 1 tables")


def test_a_warehouse_server_that_is_not_there(settings: Settings) -> None:
    away = changed(settings, "warehouse", engine="redshift", host="127.0.0.1", port=9)
    assert "nothing answers at 127.0.0.1:9" in warehouse(away).cause
    nameless = changed(settings, "warehouse", engine="hive")
    assert "ADX_WAREHOUSE__HOST" in warehouse(nameless).remedy


def published(settings: Settings, now: datetime = NOW) -> Diagnosis:
    return told(store_probes(settings, now=now), "published marts")


def test_the_published_snapshot_and_its_age(small_line: Any) -> None:
    settings = small_line.settings
    assert published(settings).verdict == Verdict.WARNING
    small_line.publish()
    assert published(settings).verdict == Verdict.OK
    old = published(settings, datetime.now(UTC) + timedelta(days=3))
    assert (old.verdict, "3.0 days old" in old.cause) == (Verdict.WARNING, True)
    (settings.published_dir / "adx-made.duckdb").write_bytes(b"garbage" * 1_000)
    assert published(settings).verdict == Verdict.FAILED


def incidents(settings: Settings) -> Diagnosis:
    return told(store_probes(settings, now=NOW), "incidents")


def test_unresolved_incidents_are_named(settings: Settings) -> None:
    assert incidents(settings) == ok("incidents", "none was recorded yet")
    settings.home.mkdir()
    finding = Finding(
        Source.CHECK, "lake/events/x", "contract", False, Severity.ERROR, "wrong", NOW
    )
    with IncidentStore.open(settings.incidents_url) as store:
        store.record([finding], settings=settings.incidents, now=NOW)
        assert incidents(settings) == ok("incidents", "none needs a person; 1 last")
        store.record([], settings=settings.incidents, now=NOW + timedelta(hours=7))
    found = incidents(settings)
    assert found.verdict == Verdict.WARNING
    assert "1 need a person: INC-0001 (contract failed on lake/events/x)" in found.cause


def test_an_incident_database_that_is_none(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "incidents.sqlite").write_bytes(b"garbage" * 1_000)
    found = incidents(settings)
    assert (found.verdict, "ADX_INCIDENTS__URL" in found.remedy) == (Verdict.FAILED, True)
