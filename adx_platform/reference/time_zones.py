"""The UTC offsets of time zones as a table, so that every engine cuts local days alike.

Belongs here: finding the transitions of a zone. Does not belong here: cutting days (the marts' SQL)
or which zones are wanted (the advertisers').

Warehouse engines carry their own, differently dated zone data (and some none), so the offsets are
taken from one place, the ``zoneinfo`` of this process, and joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from adx_platform.contracts.columns import polars_schema
from adx_platform.reference.schemas import TIME_ZONE_OFFSETS

FIRST_YEAR = 2020
LAST_YEAR = 2035

# No zone changes its offset twice within a day, so comparing day by day finds every change.
_STEP = timedelta(days=1)


def time_zone(name: str) -> ZoneInfo:
    """The zone called ``name``.

    Raises:
        ValueError: there is no such IANA zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        # OSError: the name is a folder of the zone database, such as "America".
        raise ValueError(
            f"{name!r} is not an IANA time zone: write for example Europe/Madrid"
        ) from error


def time_zone_offsets(
    names: Iterable[str], *, first_year: int = FIRST_YEAR, last_year: int = LAST_YEAR
) -> pl.DataFrame:
    """Spans of constant UTC offset of each zone.

    Args:
        names: IANA zones; repetitions are ignored.
        first_year: first year covered, from its first UTC instant.
        last_year: last year covered, to its last UTC instant.

    Returns:
        The columns of ``TIME_ZONE_OFFSETS``, sorted; the spans of a zone are half-open, contiguous
        and cover all the years.

    Raises:
        ValueError: a zone does not exist, or has an offset that is no whole number of minutes.
    """
    rows = [
        (name, start, end, minutes)
        for name in sorted(set(names))
        for start, end, minutes in _spans(name, first_year, last_year)
    ]
    schema = polars_schema(TIME_ZONE_OFFSETS.columns)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _spans(name: str, first_year: int, last_year: int) -> Iterator[tuple[datetime, datetime, int]]:
    zone = time_zone(name)
    end = datetime(last_year + 1, 1, 1, tzinfo=UTC)
    span_start = at = datetime(first_year, 1, 1, tzinfo=UTC)
    offset = _offset(zone, at)
    while at < end:
        following = min(at + _STEP, end)
        if _offset(zone, following) != offset and following < end:
            change = _first_change(zone, at, following)
            yield span_start, change, _minutes(name, offset)
            span_start, offset = change, _offset(zone, change)
        at = following
    yield span_start, end, _minutes(name, offset)


def _first_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """First second at which the offset is no longer the one of ``before``, by bisection."""
    offset = _offset(zone, before)
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, datetime.fromtimestamp(middle, UTC)) == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    return offset if offset is not None else timedelta()


def _minutes(name: str, offset: timedelta) -> int:
    minutes, rest = divmod(offset, timedelta(minutes=1))
    if rest:
        raise ValueError(f"{name} has the UTC offset {offset}, which is no whole number of minutes")
    return minutes
