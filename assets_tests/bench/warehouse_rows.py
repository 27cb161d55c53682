"""A large raw warehouse, made of SQL: millions of impressions with all that belongs to them.

Belongs here: rows of the raw and reference tables, the same for the same numbers. Does not belong
here: building models from them or measuring (``warehouse``). They are written past the loader and
the refining, which have their own measurements; every row is accepted and well formed.

Users are heavy-tailed: one of them in a thousand sees a sixth of all impressions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import duckdb

from adx_platform.warehouse.tables import (
    AD_IMPRESSIONS,
    BID_NOTICES,
    BID_REQUEST_IMPS,
    BID_REQUESTS,
    BID_RESPONSES,
    CLICKS,
    CONVERSIONS,
    Table,
    schema_statements,
)

FIRST_DAY: Final = date(2026, 3, 1)
_CHUNK: Final = 2_000_000
_MICROS_OF_DAY: Final = 86_400_000_000
_ADVERTISERS: Final = 20
_CAMPAIGNS: Final = 200

# Pseudo-random numbers of `i`: the same in every run, and independent of each other by their name.
_MACROS = """
create or replace temp macro uniform(i, name) as
    (hash(i, name) >> 11) / 9007199254740992.0;
create or replace temp macro below(i, name, n) as cast(floor(uniform(i, name) * n) as bigint);
"""


@dataclass(frozen=True, slots=True)
class Volumes:
    """How much there is, spread evenly over ``days``.

    Attributes:
        impressions: bids that were won, billed and rendered; of each a response, two notices, and
            one to three impression events.
        clicks: of these impressions.
        conversions: of users who saw one.
        requests: bid requests with one offered impression each, answered or not.
        users: people.
        days: UTC days.
    """

    impressions: int
    clicks: int
    conversions: int
    requests: int
    users: int
    days: int


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """The empty warehouse, with its reference data."""
    for statement in schema_statements("duckdb"):
        connection.execute(statement)
    connection.execute(
        "insert into reference.advertisers select 'adv-' || i, 'advertiser ' || i, "
        "['UTC', 'Europe/Berlin', 'America/New_York'][1 + i % 3], ['EUR', 'USD'][1 + i % 2], "
        f"720, 168, timestamp '2026-01-01' from range({_ADVERTISERS}) as t(i)"
    )
    connection.execute(
        f"insert into reference.campaigns select 'campaign-' || i, 'adv-' || i % {_ADVERTISERS}, "
        "'campaign ' || i, 'sales', 'active', 1000000000, 100000000000, 10, "
        f"timestamp '2026-01-01' from range({_CAMPAIGNS}) as t(i)"
    )
    connection.execute(
        "insert into reference.fx_rates select cast(d as date), f, t, "
        "case when f = t then 1 else 0.9 + day(d) / 100.0 end "
        "from generate_series(timestamp '2026-01-01', timestamp '2027-12-31', interval 1 day) "
        "s(d), (values ('EUR'), ('USD')) a(f), (values ('EUR'), ('USD')) b(t)"
    )
    connection.execute(
        "insert into reference.time_zone_offsets select z, timestamp '2020-01-01', "
        "timestamp '2036-01-01', m from (values ('UTC', 0), ('Europe/Berlin', 60), "
        "('America/New_York', -300)) as zones(z, m)"
    )


def add_load(
    connection: duckdb.DuckDBPyConnection,
    volumes: Volumes,
    *,
    first: int = 0,
    day: int = 0,
    fraction: float = 1.0,
) -> dict[str, int]:
    """One load of all tables.

    Args:
        connection: of the warehouse.
        volumes: how much.
        first: number of the first impression; numbers of different loads must not overlap.
        day: days after :data:`FIRST_DAY` on which the load begins.
        fraction: of the last day that the load covers, counted from midnight.

    Returns:
        Rows by raw table.
    """
    connection.execute(_MACROS)
    ((load_id,),) = connection.execute(
        "select coalesce(max(load_id), 0) + 1 from control.loads"
    ).fetchall()
    span = int(volumes.days * _MICROS_OF_DAY * fraction)
    start = f"timestamp '{FIRST_DAY + timedelta(days=day)} 00:00:00'"
    rows: dict[str, int] = {}
    for source in _sources(volumes):
        table = source.table
        for begin in range(0, source.impressions, _CHUNK):
            end = min(begin + _CHUNK, source.impressions)
            at = f"{start} + to_microseconds(cast(i / {source.impressions} * {span} as bigint))"
            numbers = f"select i + {first} as n, {at} as won_at from range({begin}, {end}) as t(i)"
            ((written,),) = connection.execute(_insert(source, numbers, load_id)).fetchall()
            rows[table.name] = rows.get(table.name, 0) + int(written)
    connection.execute(
        "insert into control.loads values (?, 'all', 0, now()::timestamp, ?)",
        [load_id, sum(rows.values())],
    )
    return rows


@dataclass(frozen=True, slots=True)
class _Source:
    """Rows of one table: the first so many impressions, and what differs from them.

    ``delay`` is seconds after the impression was won, or an expression of them.
    """

    table: Table
    impressions: int
    kind: str
    delay: str
    columns: Mapping[str, str] = field(default_factory=dict)
    condition: str = "true"


# Columns of the n-th impression.
_IMPRESSION: Final = {
    "exchange_id": "'ex-' || n % 5",
    "request_id": "'request-' || n",
    "imp_id": "'1'",
    "bid_id": "'bid-' || n",
    "impression_id": "'impression-' || n",
    "campaign_id": f"'campaign-' || below(n, 'campaign', {_CAMPAIGNS})",
    "creative_id": (
        f"'creative-' || (below(n, 'campaign', {_CAMPAIGNS}) * 4 + below(n, 'creative', 4))"
    ),
    "advertiser_id": f"'adv-' || below(n, 'campaign', {_CAMPAIGNS}) % {_ADVERTISERS}",
    "publisher_id": "'publisher-' || below(n, 'publisher', 1000)",
    "site_domain": "'site-' || below(n, 'publisher', 1000) || '.example'",
    "placement_id": "'placement-' || below(n, 'placement', 5000)",
    "geo_country": "['US', 'DE', 'GB', 'FR', 'JP', 'IN', 'BR'][1 + below(n, 'country', 7)]",
    "device_type": "['mobile', 'desktop', 'tablet', 'ctv'][1 + below(n, 'device', 4)]",
    "has_consent": "uniform(n, 'consent') < 0.8",
    "is_givt": "uniform(n, 'bot') < 0.03",
    "price_cpm_micros": "1000000 + below(n, 'price', 9000000)",
    "currency": "'USD'",
}
_KINDS: Final = (
    "bid",
    "response",
    "win",
    "billing",
    "rendered",
    "measurable",
    "viewable",
    "click",
    "conversion",
)
_ENVELOPE: Final = {
    "topic_id": "'topic'",
    "kafka_offset": "n",
    "kafka_timestamp": "event_time + interval '1 second'",
    "revision": "0",
    "disposition": "'accepted'",
    "contract_version": "1",
    "event_date": "cast(event_time as date)",
    "is_late": "false",
    "lateness_seconds": "0",
    "payload_fingerprint": "event_id",
}


def _sources(volumes: Volumes) -> list[_Source]:
    # Cubed: few people see much.
    person = f"'user-' || cast(floor(pow(uniform(n, 'user'), 3) * {volumes.users}) as bigint)"
    seen = volumes.impressions
    notices = [
        _Source(BID_NOTICES, seen, kind, delay, {"notice_type": f"'{kind}'"})
        for kind, delay in (("win", "0"), ("billing", "2"))
    ]
    events = [
        _Source(
            AD_IMPRESSIONS,
            seen,
            kind,
            delay,
            {"event_type": f"'{kind}'", "user_id": person},
            f"uniform(n, 'seen') < {share}",
        )
        for kind, delay, share in (
            ("rendered", "1", 1.0),
            ("measurable", "3", 0.7),
            ("viewable", "4", 0.5),
        )
    ]
    request = {
        "imp_count": "1",
        "auction_type": "1",
        "is_test": "false",
        "channel": "'site'",
        "user_id": person,
    }
    offered = {
        "imp_index": "0",
        "media_type": "'banner'",
        "width": "300",
        "height": "250",
        "floor_cpm_micros": "500000",
        "floor_currency": "'USD'",
    }
    click = {"click_id": "'click-' || n", "user_id": person}
    conversion = {
        "order_id": "'order-' || n",
        "conversion_type": "'purchase'",
        "value_micros": "1000000 + below(n, 'value', 99000000)",
        "impression_id": "null",
        "campaign_id": "null",
        "user_id": person,
    }
    return [
        _Source(BID_RESPONSES, seen, "response", "-1", {"latency_ms": "40"}),
        *notices,
        *events,
        _Source(CLICKS, volumes.clicks, "click", "20", click),
        _Source(
            CONVERSIONS, volumes.conversions, "conversion", "below(n, 'delay', 172800)", conversion
        ),
        _Source(BID_REQUESTS, volumes.requests, "bid", "-2", request),
        _Source(BID_REQUEST_IMPS, volumes.requests, "bid", "-2", offered),
    ]


def _insert(source: _Source, numbers: str, load_id: int) -> str:
    names = [column.name for column in source.table.columns]
    known = {
        **_IMPRESSION,
        **_ENVELOPE,
        # Offsets are impressions, so every kind of event has a partition of its own.
        "partition_id": str(_KINDS.index(source.kind)),
        "record_type": f"'{source.table.name}'",
        "load_id": str(load_id),
        **source.columns,
        "event_id": "event_id",
        "event_time": "event_time",
    }
    values = ", ".join(known.get(name, "null") for name in names)
    event = (
        f"select n, '{source.kind}-' || n as event_id, "
        f"won_at + to_seconds({source.delay}) as event_time from ({numbers}) "
        f"where {source.condition}"
    )
    return (
        f"insert into {source.table.qualified_name} ({', '.join(names)}) "
        f"select {values} from ({event})"
    )
