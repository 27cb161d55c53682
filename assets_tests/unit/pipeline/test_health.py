"""The health endpoint over HTTP, and its verdicts."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections import Counter, deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adx_platform.pipeline.follow_metrics import metrics_text
from adx_platform.pipeline.follow_state import FollowStatus, LaneProgress
from adx_platform.pipeline.health import HealthError, HealthServer, is_alive, is_ready
from adx_platform.pipeline.troubles import Trouble, TroubleKind
from adx_platform.settings import FollowSettings, IngestSettings, Settings, load_settings

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LANES = {
    ("ad_impressions", 0): LaneProgress(
        behind=7,
        batches=2,
        rows=Counter(accepted=9, rejected=1),
        last_commit=NOW - timedelta(seconds=4),
        latencies=deque([(1.5, 9), (3.0, 1)]),
    ),
    ("ad_impressions", 1): LaneProgress(stopped="another topic"),
}


def status(
    *troubles: Trouble,
    turned: float = 0,
    looked: float | None = 0,
    lanes: dict[tuple[str, int], LaneProgress] | None = None,
) -> FollowStatus:
    return FollowStatus(
        started_at=NOW - timedelta(hours=1),
        turned_at=NOW - timedelta(seconds=turned),
        looked_at=None if looked is None else NOW - timedelta(seconds=looked),
        lanes=LANES if lanes is None else lanes,
        troubles=troubles,
    )


def trouble(kind: TroubleKind) -> Trouble:
    return Trouble(kind, None, None, "it does not answer", NOW)


def settings(tmp_path: Path, port: int = 0) -> Settings:
    return load_settings(
        home=tmp_path,
        follow=FollowSettings(health_port=port),
        ingest=IngestSettings(max_records_per_batch=10),
    )


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_loop_that_does_not_turn_is_not_alive() -> None:
    bound = timedelta(seconds=30)
    assert is_alive(status(turned=30), NOW, bound=bound).ok
    verdict = is_alive(status(turned=31), NOW, bound=bound)
    assert (verdict.ok, verdict.text) == (False, "the loop has not turned for 31 s")


@pytest.mark.parametrize(
    ("found", "ready", "text"),
    [
        (status(), True, "7 offsets wait"),
        (status(trouble(TroubleKind.DATA)), True, "7 offsets wait"),
        (status(trouble(TroubleKind.BROKER)), False, "all streams: it does not answer"),
        (status(trouble(TroubleKind.LAKE)), False, "all streams: it does not answer"),
        (status(looked=None), False, "the broker has not answered yet"),
        (status(looked=31), False, "the broker last answered at 2026-03-02T11:59:29"),
        (status(lanes={("s", 0): LaneProgress(behind=21)}), False, "21 offsets wait, more than 20"),
    ],
)
def test_ready_means_that_what_arrives_is_in_the_lake_within_moments(
    found: FollowStatus, ready: bool, text: str
) -> None:
    verdict = is_ready(found, NOW, most_behind=20)
    assert verdict.ok is ready
    assert verdict.text.startswith(text)


def test_the_metrics_are_prometheus_text() -> None:
    found = replace(
        status(trouble(TroubleKind.BROKER), turned=2), not_loaded={"ad_impressions": 12}
    )
    text = metrics_text(found, NOW)
    lane = 'stream="ad_impressions",lane="0"'
    for line in (
        f"adx_behind_offsets{{{lane}}} 7",
        f"adx_batches_total{{{lane}}} 2",
        f'adx_offsets_total{{{lane},disposition="rejected"}} 1',
        f'adx_latency_seconds{{{lane},quantile="0.5"}} 1.5',
        f'adx_latency_seconds{{{lane},quantile="0.95"}} 3',
        f"adx_last_commit_age_seconds{{{lane}}} 4",
        'adx_lane_stopped{stream="ad_impressions",lane="1"} 1',
        'adx_not_loaded_offsets{stream="ad_impressions"} 12',
        'adx_troubles{kind="broker"} 1',
        'adx_troubles{kind="lake"} 0',
        "adx_turn_age_seconds 2",
    ):
        assert line in text.splitlines()
    sample = re.compile(
        r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \d+(\.\d+)?(e[+-]\d+)?$'
    )
    samples = [line for line in text.splitlines() if not line.startswith("# ")]
    assert all(sample.match(line) for line in samples)
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(set(families)) == len(families)
    assert {line.split("{")[0].split()[0] for line in samples} == set(families)


def test_it_answers_over_http(tmp_path: Path) -> None:
    shown = [status()]
    with HealthServer(settings(tmp_path), lambda: shown[0], now=lambda: NOW) as server:
        assert get(server.port, "/live") == (200, "the loop turns\n")
        assert get(server.port, "/ready") == (200, "7 offsets wait\n")
        assert get(server.port, "/metrics")[1] == metrics_text(shown[0], NOW)
        assert get(server.port, "/other")[0] == 404
        shown[0] = status(trouble(TroubleKind.BROKER), turned=60)
        assert get(server.port, "/live")[0] == 503
        assert get(server.port, "/ready") == (503, "all streams: it does not answer\n")
        port = server.port
        with pytest.raises(HealthError, match="ADX_FOLLOW__HEALTH_PORT"):
            HealthServer(settings(tmp_path, port), lambda: shown[0])
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=5)
