"""The peers' bench: its account of processes, and the command itself with very little to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from assets_tests.bench.peers.contenders import CEILING, INGEST, LANDING
from assets_tests.bench.peers.decoding import Decoder
from assets_tests.bench.peers.job import Job, Wire
from assets_tests.bench.peers.measuring import ContenderFailedError, Cost, cost_of
from assets_tests.bench.peers.outcomes import Outcome
from assets_tests.bench.peers.stored import Stored
from assets_tests.servers.java import JavaRuntime

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts processes by Linux's means")

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
MESSAGES = 1_500
STREAMS = ("ad_impressions", "bid_requests")
AVRO = '{"type": "record", "name": "Greeting", "fields": [{"name": "text", "type": "string"}]}'
LOOP = "plain loop"

BURN = """
import time
held = bytearray(60_000_000)
while time.process_time() < {seconds}:
    pass
"""
ORPHAN = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {burn!r}])
"""


def burn(seconds: float) -> list[str]:
    return [sys.executable, "-c", BURN.format(seconds=seconds)]


def test_programs_side_by_side_are_added_up(tmp_path: Path) -> None:
    cost = cost_of([burn(0.5), burn(0.5)], ENVIRONMENT, tmp_path)
    assert cost.cpu_seconds >= 1.0
    assert cost.peak_mb > 2 * 57


def test_what_a_program_leaves_behind_is_waited_for_and_counted(tmp_path: Path) -> None:
    orphan = [sys.executable, "-c", ORPHAN.format(burn=BURN.format(seconds=0.6))]
    cost = cost_of([orphan], ENVIRONMENT, tmp_path)
    assert cost.cpu_seconds >= 0.6
    assert cost.peak_mb > 57


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('the topic is empty')"]
    with pytest.raises(ContenderFailedError, match=r"exit codes \[0, 1\].*the topic is empty"):
        cost_of([[sys.executable, "-c", ""], failing], ENVIRONMENT, tmp_path)


def test_start_up_is_taken_off_with_its_messages() -> None:
    outcome = Outcome(
        contender="any",
        stream="ad_impressions",
        messages=10_400,
        few_messages=400,
        full=Cost(cpu_seconds=13.0, wall_seconds=26.0, peak_mb=1.0),
        few=Cost(cpu_seconds=8.0, wall_seconds=8.0, peak_mb=1.0),
        stored=Stored(rows=10_000, duplicates=0, refused=300, parquet_bytes=1),
    )
    assert outcome.per_cpu_second == 800
    assert outcome.per_cpu_second_running == 2_000
    assert outcome.per_second == 400
    assert outcome.stored.lost(outcome.messages) == 100


class Message(NamedTuple):
    """What the decoder sees of a message of librdkafka's."""

    content: bytes | None

    def value(self) -> bytes | None:
        return self.content


def job(wire: Wire, folder: Path) -> Job:
    return Job(
        servers="",
        topic="any",
        stream="any",
        ends={},
        wire=wire,
        out=folder,
        home=folder,
        columns=["kind", "agent", "page"],
        spark_schema="",
        schemas={7: AVRO} if wire == "avro" else {},
    )


@pytest.mark.parametrize(
    ("wire", "good", "bad", "expected"),
    [
        ("json", b'{"a": [1]}', [b'{"a":', b"[1]", None], {"any": [{"a": [1]}]}),
        (
            "csv",
            b'click,"x, ""y"""\n',
            [b'"click', b"\xff", None],
            {"any": [{"kind": "click", "agent": 'x, "y"'}]},
        ),
        (
            "avro",
            b"\0\0\0\0\x07\x04hi",
            [b"\0\0\0\0\x08\x04hi", b"\0\0\0\0\x07\x04h", b"", None],
            {"Greeting": [{"text": "hi"}]},
        ),
    ],
)
def test_peers_leave_out_what_they_cannot_decode_and_count_it(
    wire: Wire, good: bytes, bad: list[bytes | None], expected: dict[str, Any], tmp_path: Path
) -> None:
    told = job(wire, tmp_path)
    told.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == told
    decoder = Decoder(told)
    assert decoder.rows([Message(value) for value in (*bad, good)]) == expected
    assert decoder.refused == len(bad)


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_command_accounts_for_every_message(kafka_runtime: JavaRuntime, tmp_path: Path) -> None:
    """With those contenders that need nothing but the project's own requirements."""
    found = tmp_path / "found.json"
    own = [CEILING, LANDING, INGEST, LOOP]
    command = [sys.executable, "-m", "assets_tests.bench.peers", "--json", str(found), "--markdown"]
    command += ["--messages", str(MESSAGES), "--repetitions", "1"]
    command += [word for name in own for word in ("--only", name)]
    command += [word for name in STREAMS for word in ("--stream", name)]
    ran = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads(found.read_text(encoding="utf-8"))
    assert results["failures"] == []
    assert results["unavailable"] == {}
    outcomes = {(one["contender"], one["stream"]): one for one in results["outcomes"]}
    assert set(outcomes) == {(name, stream) for name in own for stream in STREAMS}
    for traffic in results["traffic"]:
        stream, malformed = traffic["stream"], traffic["malformed"]
        assert malformed > 0
        assert counts(outcomes[LANDING, stream]) == (MESSAGES, MESSAGES, 0)
        given, rows, refused = counts(outcomes[INGEST, stream])
        assert (given, rows + refused) == (MESSAGES, MESSAGES)
        assert refused >= malformed
        sound = MESSAGES - malformed
        assert counts(outcomes[LOOP, stream]) == (sound, sound, 0)
    for one in outcomes.values():
        assert one["full"]["cpu_seconds"] > 0
        assert one["full"]["peak_mb"] > 5
    assert all(f"| {name} |" in ran.stdout for name in own)


def counts(outcome: dict[str, Any]) -> tuple[int, int, int]:
    """Messages given, rows stored, messages refused."""
    stored = outcome["stored"]
    return outcome["messages"], stored["rows"], stored["refused"]
