"""`python -m assets_tests.bench.warehouse_least DATABASE THREADS`: the least any build has to do.

Belongs here: work that no model of the marts can leave out, on a warehouse that is built, and
without any of their rules. Does not belong here: the builds themselves (``warehouse``).

The events of each bid are brought together, as narrowly as can be: by one number for its four ids,
and only their newest time is kept. Then every table of the marts is written once more, from itself.
"""

from __future__ import annotations

import sys
from typing import Final

import duckdb

MEMORY_LIMIT: Final = "3GB"
"""As the platform sets it where nobody says otherwise."""
_EVENTS: Final = ("bid_notices", "ad_impressions", "bid_responses")


def least(database: str, threads: int) -> None:
    """Do it; the copies are gone afterwards."""
    with duckdb.connect(database) as connection:
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set threads = {threads}")
        events = " union all ".join(
            "select hash(exchange_id, request_id, imp_id, bid_id) as bid, event_time "
            f"from raw.{name}"
            for name in _EVENTS
        )
        connection.execute(
            "select count(*), max(newest) from "
            f"(select bid, max(event_time) as newest from ({events}) group by bid)"
        ).fetchall()
        tables = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'marts' order by 1"
        ).fetchall()
        for (name,) in tables:
            connection.execute(f"create table marts.copied as select * from marts.{name}")
            connection.execute("drop table marts.copied")


if __name__ == "__main__":
    least(sys.argv[1], int(sys.argv[2]))
