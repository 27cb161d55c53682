"""The resident loop turn by turn: a memory broker, a real lake, a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from adx_platform.contracts.streams import AD_IMPRESSIONS
from adx_platform.lake.cursors import refined_offsets
from adx_platform.pipeline.follow import (
    Follower,
)
from adx_platform.pipeline.follow_state import FollowedBatch
from adx_platform.pipeline.platform import Platform
from adx_platform.pipeline.troubles import Trouble, TroubleKind
from adx_platform.streams.topics import TopicState

STREAM = AD_IMPRESSIONS.name


@dataclass
class Clock:
    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


class Loop:
    """A follower of one stream with everything that it said."""

    def __init__(self, platform: Platform, broker: Any) -> None:
        self.broker = broker
        self.problem: Exception | None = None
        self.there = True
        self.batches: list[FollowedBatch] = []
        self.troubles: list[Trouble] = []
        self.clock = Clock()
        self.stop = threading.Event()
        broker.look = self._look
        broker.close = lambda: None
        self.follower = Follower(
            platform.settings,
            streams=[STREAM],
            on_batch=self.batches.append,
            on_trouble=self.troubles.append,
            open_parts=lambda settings: replace(platform, settings=settings),
            clock=self.clock,
        )

    def _look(self, topics: Iterable[str]) -> dict[str, TopicState]:
        assert list(topics) == [STREAM]
        if self.problem is not None:
            raise self.problem
        if not self.there:
            return {}
        return {STREAM: TopicState(self.broker.topic_id, self.broker.watermarks(STREAM))}

    def turn(self) -> float | None:
        return self.follower.turn(self.stop)

    def drain(self) -> None:
        for _ in range(20):
            if self.turn() is not None:
                return
        pytest.fail("the loop did not come to rest")

    @property
    def said(self) -> list[tuple[TroubleKind, bool]]:
        """(kind, whether it is over), in order."""
        return [(trouble.kind, trouble.over_at is not None) for trouble in self.troubles]

    @property
    def lanes(self) -> list[int]:
        return [batch.report.lane for batch in self.batches]


def refined(platform: Platform) -> dict[int, int]:
    return {p: end for (_, p), end in refined_offsets(platform.storage, STREAM).items()}
