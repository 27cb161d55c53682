"""The verdict about the broker, as the loop sees it and as asked by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from adx_platform.lake.sources import register_sources
from adx_platform.orchestration import keys
from adx_platform.orchestration.assets_lake import topic_specs
from adx_platform.orchestration.broker_check import PATIENCE, broker_checks, broker_trouble
from adx_platform.orchestration.resources import Line
from adx_platform.pipeline.follow_state import FollowStatus
from adx_platform.pipeline.troubles import Trouble, TroubleKind
from adx_platform.settings import Settings
from adx_platform.streams.errors import BrokerUnreachable, StreamError
from adx_platform.streams.topics import TopicState, Watermarks

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
STREAM = "ad_impressions"


def status(*troubles: Trouble) -> FollowStatus:
    return FollowStatus(NOW, NOW, NOW, {}, troubles)


def trouble(kind: TroubleKind, stream: str | None, lane: int | None = None) -> Trouble:
    return Trouble(kind, stream, lane, "it is so", NOW)


@pytest.mark.parametrize(
    ("found", "after", "counts"),
    [
        (trouble(TroubleKind.BROKER, None), timedelta(0), False),
        (trouble(TroubleKind.BROKER, None), PATIENCE, True),
        (trouble(TroubleKind.BROKER, STREAM, 1), PATIENCE, True),
        (trouble(TroubleKind.TOPIC, STREAM), timedelta(0), True),
        (trouble(TroubleKind.REPLACED, STREAM, 0), timedelta(0), True),
        (trouble(TroubleKind.TOPIC, "bid_requests"), PATIENCE, False),
        (trouble(TroubleKind.LAKE, STREAM, 0), PATIENCE, False),
        (trouble(TroubleKind.DATA, STREAM, 0), PATIENCE, False),
    ],
)
def test_only_what_is_about_the_broker_or_the_topic_counts(
    found: Trouble, after: timedelta, counts: bool
) -> None:
    assert (broker_trouble(status(found), STREAM, NOW + after) is not None) is counts


class AskedLine(Line):
    """A line whose broker answers what the test says."""

    answer: dict[str, TopicState] | StreamError

    @contextmanager
    def platform(self) -> Iterator[Any]:
        def look(_: Iterable[str]) -> dict[str, TopicState]:
            if isinstance(self.answer, StreamError):
                raise self.answer
            return self.answer

        yield SimpleNamespace(kafka=SimpleNamespace(look=look), storage=self.storage)


@pytest.mark.parametrize(
    ("answer", "in_lake", "problem"),
    [
        ({STREAM: TopicState("t-1", {0: Watermarks(0, 5)})}, (), None),
        ({STREAM: TopicState("t-1", {0: Watermarks(0, 5)})}, ("t-0", "t-1"), None),
        ({STREAM: TopicState("t-1", {})}, ("t-0",), "the lake has t-0: it was created anew"),
        ({}, (), "topic ad_impressions does not exist"),
        (BrokerUnreachable("nobody answers"), (), "nobody answers"),
    ],
)
def test_by_hand_the_broker_is_asked(
    settings: Settings,
    answer: dict[str, TopicState] | StreamError,
    in_lake: tuple[str, ...],
    problem: str | None,
) -> None:
    line = AskedLine(settings)
    line.answer = answer
    for topic_id in in_lake:
        register_sources(line.storage, STREAM, topic_id, [0])
    chosen = [
        c for c in broker_checks() if keys.kafka_key(STREAM) in {k.asset_key for k in c.check_keys}
    ]
    defs = dg.Definitions(
        assets=topic_specs(),
        asset_checks=chosen,
        jobs=[dg.define_asset_job("check", dg.AssetSelection.all_asset_checks())],
        resources={"line": line},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("check").execute_in_process(instance=instance)
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed is (problem is None)
    assert (problem or "the broker answers") in str(evaluation.description)
