"""The hourly marts as series.

Belongs here: reading both marts in one query each, and cutting them into the series of a check.
Does not belong here: which checks there are (``catalogue``) or what is normal (``model``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl

from adx_platform.quality.anomaly.series import HOUR, Kind, Series
from adx_platform.quality.metrics import Query

ARRIVALS = "agg_arrivals_hourly"
EXCHANGES = "agg_exchange_hourly"
MARKET = "market"
"""Key of the series that all streams go into."""
UNKNOWN = "unknown"
NO_CURRENCY = "XXX"

_ARRIVALS_SQL = """
select hour_start, stream, exchange_id, messages, accepted, rejected,
    duplicates + conflicts as copies, late, last_arrived_at
from marts.agg_arrivals_hourly
where hour_start >= cast('{since}' as timestamp) and arrival_date >= cast('{day}' as date)
"""
_EXCHANGES_SQL = """
select hour_start, exchange_id, currency, bids, wins, priced_wins, clearing_price_cpm_micros,
    net_impressions, net_clicks
from marts.agg_exchange_hourly
where hour_start >= cast('{since}' as timestamp) and event_date >= cast('{day}' as date)
"""


@dataclass(frozen=True)
class Marts:
    """The newest hours of both marts.

    Attributes:
        arrivals: rows of ``agg_arrivals_hourly``; ``copies`` are its duplicates and conflicts.
        exchanges: rows of ``agg_exchange_hourly``.
    """

    arrivals: pl.DataFrame
    exchanges: pl.DataFrame

    @cached_property
    def newest(self) -> dict[str, datetime]:
        """Broker's timestamp of the newest arrival, by stream."""
        found = self.arrivals.group_by("stream").agg(pl.col("last_arrived_at").max())
        return {str(stream): time.replace(tzinfo=UTC) for stream, time in found.iter_rows()}

    def volume(self, metric: str, stream: str) -> list[Series]:
        """Messages of a stream."""
        rows = self.arrivals.filter(pl.col("stream") == stream)
        return self._series(metric, stream, Kind.VOLUME, rows, part="messages")

    def exchange_volumes(self, metric: str, stream: str) -> list[Series]:
        """Messages of a stream by exchange; those that name none are left out."""
        of_stream = self.arrivals.filter(
            pl.col("stream") == stream, pl.col("exchange_id") != UNKNOWN
        )
        return [
            series
            for exchange, rows in _parts(of_stream, "exchange_id")
            for series in self._series(
                metric, f"{stream}/{exchange}", Kind.VOLUME, rows, part="messages"
            )
        ]

    def share(self, metric: str, stream: str, part: str, whole: str) -> list[Series]:
        """One column of a stream's arrivals as a share of another."""
        rows = self.arrivals.filter(pl.col("stream") == stream)
        return self._series(metric, stream, Kind.RATE, rows, part=part, whole=whole)

    def market_rate(self, metric: str, part: str, whole: str) -> list[Series]:
        """A rate of counts over all exchanges."""
        return self._series(metric, MARKET, Kind.RATE, self.exchanges, part=part, whole=whole)

    def prices(self, metric: str) -> list[Series]:
        """Clearing prices by currency: sums in different currencies are never mixed."""
        priced = self.exchanges.filter(pl.col("currency") != NO_CURRENCY, pl.col("priced_wins") > 0)
        return [
            series
            for currency, rows in _parts(priced, "currency")
            for series in self._series(
                metric,
                f"{MARKET}/{currency}",
                Kind.MEAN,
                rows,
                part="clearing_price_cpm_micros",
                whole="priced_wins",
            )
        ]

    def _series(
        self,
        metric: str,
        key: str,
        kind: Kind,
        rows: pl.DataFrame,
        *,
        part: str,
        whole: str | None = None,
    ) -> list[Series]:
        """None without rows. It begins with its first row and goes on to the newest arrival."""
        if rows.is_empty():
            return []
        hourly = rows.group_by("hour_start").agg(
            part=pl.col(part).sum().cast(pl.Float64),
            whole=pl.lit(1.0) if whole is None else pl.col(whole).sum().cast(pl.Float64),
        )
        start = hourly.select(pl.col("hour_start").min()).item().replace(tzinfo=UTC)
        length = (max(self.newest.values()) - start) // HOUR + 1
        at = [(time.replace(tzinfo=UTC) - start) // HOUR for time in hourly["hour_start"]]
        kept = [position for position, index in enumerate(at) if index < length]
        values = np.zeros(max(length, 0))
        wholes = np.ones(len(values)) if whole is None else np.zeros(len(values))
        places = np.array(at, dtype=np.int64)[kept]
        values[places] = hourly["part"].to_numpy()[kept]
        wholes[places] = hourly["whole"].to_numpy()[kept]
        return [Series(metric, key, kind, start, values, wholes)]


def read_marts(query: Query, *, training: timedelta) -> Marts:
    """Read what the checks need: the hours of the last ``training``, as messages count time.

    Args:
        query: runs SQL against the warehouse.
        training: history to learn from, before the newest arrival.
    """
    newest = query("select max(last_arrived_at) as newest from marts.agg_arrivals_hourly").item()
    since = (newest or datetime(1970, 1, 1)) - training  # noqa: DTZ001 the warehouse's times are naive UTC
    since = since.replace(minute=0, second=0, microsecond=0)
    bounds = {"since": since.isoformat(sep=" "), "day": since.date().isoformat()}
    return Marts(query(_ARRIVALS_SQL.format(**bounds)), query(_EXCHANGES_SQL.format(**bounds)))


def _parts(rows: pl.DataFrame, column: str) -> Iterator[tuple[str, pl.DataFrame]]:
    for value in sorted(rows[column].unique().to_list()):
        yield str(value), rows.filter(pl.col(column) == value)
