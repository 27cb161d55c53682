"""`python -m assets_tests.bench.warehouse_least DATABASE THREADS`: the least any build has to do.

Belongs here: work that no model of delivery and attribution can leave out, on a warehouse that is
built, and without any of their rules. Does not belong here: the builds themselves (``warehouse``).

Prints a line of JSON for each piece of work, with its seconds. What has several columns as its key
is brought together by one number for all of them, and of what is brought together one value is
kept, or two: of a bid its newest time and its highest price.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Final

import duckdb

MEMORY_LIMIT: Final = "3GB"
"""As the platform sets it where nobody says otherwise."""

BARE_JOIN: Final = """
select conversions.event_id, touches.touch_event_id
from marts.fct_conversions as conversions
asof join (
    select event_id as touch_event_id, user_id, advertiser_id, clicked_at as touched_at
    from marts.fct_clicks where has_consent and not is_givt and user_id is not null
    union all
    select rendered_event_id, user_id, advertiser_id, rendered_at
    from marts.fct_impressions
    where rendered_at is not null and has_consent and not is_givt and user_id is not null
) as touches
    on conversions.user_id = touches.user_id
    and conversions.advertiser_id = touches.advertiser_id
    and conversions.converted_at >= touches.touched_at
where conversions.has_consent
"""
"""What an analyst without a platform would write: the latest touch, of either type, no windows."""

_EVENTS: Final = {
    "bid_notices": "price_cpm_micros",
    "ad_impressions": "null",
    "bid_responses": "price_cpm_micros",
}
"""Raw tables with a row for an event of a bid, and the price in it."""
_BID: Final = "exchange_id, request_id, imp_id, bid_id"
_DIMENSIONS: Final = (
    "campaign_id",
    "advertiser_id",
    "exchange_id",
    "creative_id",
    "publisher_id",
    "placement_id",
    "geo_country",
    "device_type",
)


def least(database: str, threads: int) -> Iterator[tuple[str, float]]:
    """Do it, piece by piece: the name of each, and the seconds it took; copies are gone after."""
    with duckdb.connect(database) as connection:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set threads = {threads}")
        for name, statements in _pieces(connection).items():
            started = time.perf_counter()
            for statement in statements:
                connection.execute(statement).fetchall()
            yield name, time.perf_counter() - started


def _pieces(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    events = " union all ".join(
        f"select hash({_BID}) as bid, event_time, {price} as price from raw.{name}"
        for name, price in _EVENTS.items()
    )
    tables = connection.execute(
        "select table_name from duckdb_tables() where schema_name = 'marts' order by 1"
    ).fetchall()
    return {
        "events of each bid": [
            _folded("bid", "max(event_time)", f"({events})", also="max(price)"),
        ],
        "key of each impression": [
            f"select count(*), max(md5(concat_ws('|', {_BID}))) from marts.fct_impressions"
        ],
        "impressions of each hour": [_impressions_by("hour")],
        "impressions of each day": [_impressions_by("day")],
        "latest touch of each conversion": [
            f"select count(*), max(touch_event_id) from ({BARE_JOIN})"
        ],
        "marts written again": [
            statement
            for (name,) in tables
            for statement in (
                f"create table marts.copied as select * from marts.{name}",
                "drop table marts.copied",
            )
        ],
    }


def _impressions_by(unit: str) -> str:
    moment = f"date_trunc('{unit}', rendered_at)"
    return _folded(f"hash({', '.join(_DIMENSIONS)}, {moment})", "count(*)", "marts.fct_impressions")


def _folded(key: str, value: str, relation: str, also: str = "null") -> str:
    grouped = (
        f"select {key} as folded, {value} as kept, {also} as also_kept from {relation} group by 1"
    )
    return f"select count(*), max(kept), max(also_kept) from ({grouped})"


if __name__ == "__main__":
    for piece, seconds in least(sys.argv[1], int(sys.argv[2])):
        sys.stdout.write(json.dumps({"piece": piece, "seconds": seconds}) + "\n")
