"""Which hours are over: no more messages of theirs are to be expected.

Belongs here: the newest arrivals, and the end of the newest closed hour. Does not belong here:
series (``marts``). No clock is read: time passes with the messages, so that a simulated or replayed
history is judged like a live one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from adx_platform.quality.anomaly.series import HOUR


def closed_until(
    newest: Mapping[str, datetime], stream: str | None, *, grace: timedelta
) -> datetime | None:
    """End of the newest closed hour of a stream, or of all of them together.

    An hour is closed once the stream itself has gone on, by ``grace``, after its end. A silent
    stream closes no hours by itself, so an hour is also closed once any other stream is an hour and
    the grace beyond its end: so much behind the others no stream falls that is merely slower.

    Args:
        newest: broker's timestamp of the newest arrival, by stream, UTC.
        stream: of which; null: of figures that all streams go into.
        grace: how much later than its end an hour is closed.

    Returns:
        Null where nothing has arrived.
    """
    if not newest:
        return None
    foremost = max(newest.values())
    own = min(newest.values()) if stream is None else newest.get(stream)
    by_others = foremost - HOUR
    reached = (by_others if own is None else max(own, by_others)) - grace
    return reached.replace(minute=0, second=0, microsecond=0)
