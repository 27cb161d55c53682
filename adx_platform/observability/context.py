"""What is being worked on, so that every log line of it can say so.

Belongs here: the fields and how long they hold. Does not belong here: how they are written
(``logs``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_current: ContextVar[Mapping[str, object]] = ContextVar(
    "adx_log_context", default=MappingProxyType({})
)


@contextmanager
def log_context(
    *,
    run_id: str | None = None,
    asset: str | None = None,
    stream: str | None = None,
    lane: int | None = None,
    offset_range: Iterable[object] | None = None,
    incident: str | None = None,
) -> Iterator[None]:
    """Give every log record of the block these fields, over those of the blocks around it.

    Args:
        run_id: Dagster's run.
        asset: the asset key as text, ``lake/events/ad_impressions``.
        stream: name of the stream.
        lane: which of its lanes.
        offset_range: ranges of Kafka offsets, each written as its text: ``3:[100, 200)``.
        incident: its id, ``INC-0042``.
    """
    given: dict[str, object | None] = {
        "run_id": run_id,
        "asset": asset,
        "stream": stream,
        "lane": lane,
        "offset_range": None if offset_range is None else [str(item) for item in offset_range],
        "incident": incident,
    }
    known = {name: value for name, value in given.items() if value is not None}
    token = _current.set({**_current.get(), **known})
    try:
        yield
    finally:
        _current.reset(token)


def current_context() -> Mapping[str, object]:
    """The fields that hold now; empty outside of every block."""
    return _current.get()
