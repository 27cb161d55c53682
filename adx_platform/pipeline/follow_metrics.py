"""The status of the resident loop in Prometheus's text format.

Belongs here: names, labels and help of the metrics. Does not belong here: serving them
(``health``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from adx_platform.pipeline.follow_state import FollowStatus, LaneProgress, weighted_quantile
from adx_platform.pipeline.troubles import TroubleKind

_QUANTILES: Final = (0.5, 0.95)
_Sample = tuple[str, float]
_Lanes = dict[str, LaneProgress]


def metrics_text(status: FollowStatus, now: datetime) -> str:
    """The metrics of ``status``, as of ``now``."""
    lanes: _Lanes = {
        f'stream="{stream}",lane="{lane}"': progress
        for (stream, lane), progress in status.lanes.items()
    }
    families = (
        _family(
            "adx_behind_offsets",
            "gauge",
            "Offsets at the broker that the lake lacks.",
            ((labels, lane.behind) for labels, lane in lanes.items()),
        ),
        _family(
            "adx_batches_total",
            "counter",
            "Committed batches.",
            ((labels, lane.batches) for labels, lane in lanes.items()),
        ),
        _family("adx_offsets_total", "counter", "Committed offsets by disposition.", _rows(lanes)),
        _family(
            "adx_latency_seconds",
            "summary",
            "Until queryable in the lake, over the newest batches.",
            _latencies(lanes),
        ),
        _family(
            "adx_last_commit_age_seconds",
            "gauge",
            "Time since the newest commit.",
            (
                (labels, (now - lane.last_commit).total_seconds())
                for labels, lane in lanes.items()
                if lane.last_commit is not None
            ),
        ),
        _family(
            "adx_lane_stopped",
            "gauge",
            "1: the topic is not the one in the lake.",
            ((labels, int(lane.stopped is not None)) for labels, lane in lanes.items()),
        ),
        _family(
            "adx_not_loaded_offsets",
            "gauge",
            "Refined offsets that the warehouse lacks.",
            ((f'stream="{stream}"', count) for stream, count in status.not_loaded.items()),
        ),
        _family(
            "adx_troubles",
            "gauge",
            "What is in the way now, by kind.",
            (
                (f'kind="{kind.value}"', sum(item.kind is kind for item in status.troubles))
                for kind in TroubleKind
            ),
        ),
        _family(
            "adx_turn_age_seconds",
            "gauge",
            "Time since the loop last turned.",
            [("", (now - status.turned_at).total_seconds())],
        ),
    )
    return "".join(f"{line}\n" for family in families for line in family)


def _rows(lanes: _Lanes) -> Iterator[_Sample]:
    for labels, lane in lanes.items():
        for disposition, count in sorted(lane.rows.items()):
            yield f'{labels},disposition="{disposition}"', count


def _latencies(lanes: _Lanes) -> Iterator[_Sample]:
    for labels, lane in lanes.items():
        for share in _QUANTILES:
            value = weighted_quantile(lane.latencies, share)
            if value is not None:
                yield f'{labels},quantile="{share:g}"', value


def _family(name: str, kind: str, text: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{{{labels}}} {value:.12g}" if labels else f"{name} {value:.12g}"
