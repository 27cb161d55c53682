"""What these commands refuse before they reach a broker, and what they say where none answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "impressions.ndjson"
    path.write_text("{}\n", encoding="utf-8")
    return str(path)


def test_produce_to_an_unknown_stream(adx: Any, file: str) -> None:
    done = adx("produce", "--topic", "impressions", "--file", file)
    assert done.code == 2
    assert "no stream 'impressions'; choose from bid_requests" in done.stderr


@pytest.mark.parametrize(
    ("topic", "wrong", "right"),
    [
        ("ad_impressions", "csv", "ndjson or raw"),
        ("clicks_conversions", "openrtb", "csv or raw"),
        ("bid_requests", "ndjson", "openrtb or raw"),
    ],
)
def test_produce_of_a_format_that_the_topic_does_not_take(
    adx: Any, file: str, topic: str, wrong: str, right: str
) -> None:
    done = adx("produce", "--topic", topic, "--file", file, "--format", wrong)
    assert done.code == 2
    assert done.stderr == f"error: topic '{topic}' takes files of format {right}, not '{wrong}'\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ingest",), "say `adx ingest --once`"),
        (("ingest", "--once", "--stream", "zz"), "no stream 'zz'"),
        (
            ("reprocess", "--stream", "ad_impressions", "--partition", "0", "--start", "5",
             "--end", "5", "--reason", "x"),
            "--end 5 must be greater than --start 5",
        ),
        (
            ("reprocess", "--stream", "zz", "--partition", "0", "--start", "0", "--end", "5",
             "--reason", "x"),
            "no stream 'zz'",
        ),
        (("simulate", "--events", "10"), "events must be at least"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_anything_is_opened(
    adx: Any, home: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = adx(*arguments)
    assert done.code == 2
    assert said in done.stderr
    assert not home.exists()


def test_without_a_broker_the_message_says_how_to_get_one(
    adx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADX_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("ADX_KAFKA__REQUEST_TIMEOUT_SECONDS", "1")
    done = adx("topics")
    assert done.code == 1
    assert "127.0.0.1:1" in done.stderr
    assert "`adx up` starts the embedded one" in done.stderr
