"""Windows and remedies as JSON: how a check's result carries them, and how the store keeps them.

Belongs here: the two documents, both ways. Does not belong here: what they mean (``model``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.quality.incidents.model import Action, Remedy, SeriesWindow

WINDOWS_METADATA: Final = "adx/windows"
"""Metadata name under which a check result carries the points of series that it speaks of."""

REMEDY_METADATA: Final = "adx/remedy"
"""Metadata name under which a check result carries the remedy that it proposes."""


def windows_document(windows: Iterable[SeriesWindow]) -> list[dict[str, Any]]:
    """``windows`` in JSON; times are ISO 8601 with their zone."""
    return [
        {
            "metric": window.metric,
            "key": window.key,
            "start": window.start.isoformat(),
            "end": window.end.isoformat() if window.end is not None else None,
        }
        for window in windows
    ]


def windows_from(document: Iterable[Mapping[str, Any]]) -> tuple[SeriesWindow, ...]:
    """What :func:`windows_document` wrote."""
    return tuple(
        SeriesWindow(
            metric=str(item["metric"]),
            key=str(item["key"]),
            start=datetime.fromisoformat(item["start"]),
            end=None if item["end"] is None else datetime.fromisoformat(item["end"]),
        )
        for item in document
    )


def remedy_document(remedy: Remedy) -> dict[str, Any]:
    """``remedy`` in JSON."""
    return {
        "action": remedy.action.value,
        "stream": remedy.stream,
        "topic_id": remedy.topic_id,
        "ranges": [
            {"partition": item.partition, "start": item.start, "end": item.end}
            for item in remedy.ranges
        ],
        "reasons": list(remedy.reasons),
    }


def remedy_from(document: Mapping[str, Any]) -> Remedy:
    """What :func:`remedy_document` wrote."""
    return Remedy(
        action=Action(document["action"]),
        stream=document["stream"],
        topic_id=document["topic_id"],
        ranges=tuple(
            OffsetRange(item["partition"], item["start"], item["end"])
            for item in document["ranges"]
        ),
        reasons=tuple(document["reasons"]),
    )
