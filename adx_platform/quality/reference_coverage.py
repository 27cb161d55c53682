"""Whether the reference tables in the warehouse cover what the newest events need.

Belongs here: what is needed, what is there, and whether the tables still are what was loaded. Does
not belong here: judging the files themselves (``reference.files``), or loading them
(``warehouse.references``).

Without a rate an impression is billed and has no spend, without a campaign a spend has no budget:
figures that are silently too low. Both are asked of the events, not of the clock, so that a replay
of old files is judged like a live line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from adx_platform.quality.metrics import Query
from adx_platform.reference.files import ReferenceData
from adx_platform.reference.schemas import REFERENCE_TABLES

NEWEST_DAYS: Final = 3
"""Event days that are looked at, back from the newest event."""

MAX_UNKNOWN_SHARE: Final = 0.02
"""Impressions of campaigns that reference data does not know: a share up to this is a stray id."""

_SHOWN: Final = 5
_TABLES: Final = {table.name: table for table in REFERENCE_TABLES}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was found about one reference table.

    Attributes:
        table: its name.
        needed: how many things the newest events need of it: rates, or campaigns.
        missing: how many of those it lacks.
        problems: sentences; none if all is well.
    """

    table: str
    needed: int
    missing: int
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def explain(self) -> str:
        """One sentence for a person."""
        if self.problems:
            return "; ".join(self.problems)
        return f"{self.table} has all {self.needed:,} that the newest {NEWEST_DAYS} days need"


def coverage(
    query: Query, table: str, files: ReferenceData | None, *, unreadable: str = ""
) -> Coverage:
    """Compare one reference table with the newest events and with its file.

    Args:
        query: of the warehouse.
        table: ``fx_rates`` or ``campaigns``.
        files: the reference files as they are now; null if they cannot be read.
        unreadable: why not.

    Raises:
        KeyError: coverage of that table is not defined.
    """
    needed, missing, problem = _NEEDS[table](query)
    problems = [problem] if problem else []
    # Before anything was loaded or needed, a folder without files is no fault.
    if unreadable and (needed or _is_loaded(query)):
        problems.append(f"the reference files cannot be read: {_first_lines(unreadable)}")
    if files is not None and _was_changed(query, table, files):
        problems.append(
            f"reference.{table} does not hold what was loaded from {table}.csv: rows were changed "
            "in the warehouse"
        )
    return Coverage(table, needed, missing, tuple(problems))


def _is_loaded(query: Query) -> bool:
    return query("select table_name from control.reference_loads limit 1").height > 0


def _rates(query: Query) -> tuple[int, int, str]:
    """Every currency that was paid or earned in, into every advertiser's currency, per day."""
    first = _first_day(query, ("bid_notices", "conversions"))
    if first is None:
        return 0, 0, ""
    rows = query(
        "select paid.day as day, paid.currency as source, advertisers.currency as target, "  # noqa: S608 our own names and a date of ours
        "max(case when rates.rate is null then 0 else 1 end) as is_there from ("
        "select distinct event_date as day, currency from raw.bid_notices "
        "where disposition = 'accepted' and price_cpm_micros is not null "
        f"and currency is not null and event_date >= date '{first}' "
        "union select distinct event_date as day, currency from raw.conversions "
        "where disposition = 'accepted' and value_micros is not null "
        f"and currency is not null and event_date >= date '{first}'"
        ") as paid "
        "cross join (select distinct currency from reference.advertisers) as advertisers "
        "left join reference.fx_rates as rates on rates.rate_date = paid.day "
        "and rates.from_currency = paid.currency and rates.to_currency = advertisers.currency "
        "where paid.currency <> advertisers.currency "
        "group by paid.day, paid.currency, advertisers.currency "
        "order by paid.day, paid.currency, advertisers.currency"
    )
    lacking = rows.filter(pl.col("is_there") == 0)
    named = [f"{source} to {target} on {day}" for day, source, target, _ in lacking.iter_rows()]
    problem = f"no rate from {_listed(named)}" if named else ""
    return rows.height, lacking.height, problem


def _campaigns(query: Query) -> tuple[int, int, str]:
    first = _first_day(query, ("ad_impressions",))
    if first is None:
        return 0, 0, ""
    rows = query(
        "select seen.campaign_id as campaign_id, seen.events as events, "  # noqa: S608 our own names and a date of ours
        "max(case when known.campaign_id is null then 0 else 1 end) as is_there from ("
        "select campaign_id, count(*) as events from raw.ad_impressions "
        "where disposition = 'accepted' and campaign_id is not null "
        f"and event_date >= date '{first}' group by campaign_id) as seen "
        "left join reference.campaigns as known on known.campaign_id = seen.campaign_id "
        "group by seen.campaign_id, seen.events order by seen.events desc, seen.campaign_id"
    )
    lacking = rows.filter(pl.col("is_there") == 0)
    events, unknown = int(rows["events"].sum()), int(lacking["events"].sum())
    if not events or unknown / events <= MAX_UNKNOWN_SHARE:
        return rows.height, lacking.height, ""
    problem = (
        f"{unknown / events:.1%} of the newest impressions are of campaigns that reference data "
        f"does not know: {_listed(lacking['campaign_id'].to_list())}; "
        f"bound {MAX_UNKNOWN_SHARE:.0%}"
    )
    return rows.height, lacking.height, problem


_NEEDS: Final[dict[str, Callable[[Query], tuple[int, int, str]]]] = {
    "fx_rates": _rates,
    "campaigns": _campaigns,
}


def _first_day(query: Query, tables: tuple[str, ...]) -> str | None:
    """The first of the newest event days over ``tables``, as an ISO date."""
    parts = " union all ".join(
        f"select max(event_date) as day from raw.{table} where disposition = 'accepted'"  # noqa: S608 our own names
        for table in tables
    )
    ((newest,),) = query(f"select max(day) as day from ({parts}) as days").rows()  # noqa: S608 see above
    return None if newest is None else str(newest - timedelta(days=NEWEST_DAYS - 1))


def _was_changed(query: Query, name: str, files: ReferenceData) -> bool:
    """Whether the table has other rows than the file of the very version that was loaded.

    A file that is newer than what was loaded is no damage: loading it is under way.
    """
    loaded = query(
        f"select version from control.reference_loads where table_name = '{name}'"  # noqa: S608 our own name
    )["version"].to_list()
    if loaded != [files.versions[name]]:
        return False
    wanted = files.tables[name]
    columns = ", ".join(wanted.columns)
    rows = query(f"select {columns} from reference.{name}")  # noqa: S608 our own names
    naive = [
        pl.col(column).dt.replace_time_zone(None)
        for column, dtype in wanted.schema.items()
        if isinstance(dtype, pl.Datetime)
    ]
    key = list(_TABLES[name].key)
    expected = wanted.with_columns(naive).cast(rows.schema)
    return not rows.sort(key).equals(expected.sort(key))


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _first_lines(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines()[: _SHOWN + 1])
