"""Training the data-driven attribution models on the built marts, and keeping what was learned.

Belongs here: which windows are trained, reading what they need, adding a version. Does not belong
here: the models (``attribution.training``) or dividing conversions (dbt).

A training window is a calendar month, in UTC. Every training reads the month of the newest
conversion and those before it that may still change, and every month without weights; it adds a
version of a month only if a weight changed. The next build divides the conversions of the months
with a new version anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl

from adx_platform.attribution.training import MEMBERS_SCHEMA, STEPS_SCHEMA, trained_weights
from adx_platform.contracts.columns import TIMESTAMP
from adx_platform.warehouse.base import Warehouse, WarehouseError
from adx_platform.warehouse.tables import ATTRIBUTION_WEIGHTS

_KEYS = ["advertiser_id", "model", "window_start"]
_MODEL = "int_attribution_touches"


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did.

    Attributes:
        windows: first days of the months that were looked at.
        conversions: attributed conversions in them.
        retrained: (advertiser, model, first day of the month) that have a new version.
        version: of what is new; null if nothing is.
    """

    windows: tuple[date, ...]
    conversions: int
    retrained: tuple[tuple[str, str, date], ...]
    version: str | None

    def explain(self) -> str:
        """One sentence for a person."""
        months = ", ".join(f"{window:%Y-%m}" for window in self.windows) or "no month"
        read = f"read {self.conversions:,} attributed conversions of {months}"
        if self.version is None:
            return f"{read}: no weight changed"
        advertisers = len({advertiser for advertiser, _, _ in self.retrained})
        return (
            f"{read}: version {self.version} has new weights for "
            f"{advertisers:,} {'advertiser' if advertisers == 1 else 'advertisers'}; "
            "the next build uses them"
        )


def train_attribution(warehouse: Warehouse, *, now: datetime | None = None) -> TrainingReport:
    """Learn the weights of the months that may have changed.

    Args:
        warehouse: open, with its schema in place and the models built.
        now: when it is, aware; absent: now. Names the version.

    Raises:
        WarehouseError: the models were never built.
        AttributionError: an advertiser has more campaigns than can be trained.
    """
    _require_models(warehouse)
    known = _known(warehouse)
    windows = _windows(warehouse, known)
    weights = trained_weights(*_read(warehouse, windows))
    newest = _newest(known)
    changed = _changed(weights, newest)
    conversions = _conversions(warehouse, windows)
    if changed.is_empty():
        return TrainingReport(windows, conversions, (), None)
    trained_at = now or datetime.now(UTC)
    version = f"{trained_at:%Y%m%dT%H%M%S.%fZ}"
    added = changed.with_columns(
        window_end=pl.col("window_start").dt.offset_by("1mo"),
        version=pl.lit(version),
        trained_at=pl.lit(trained_at.astimezone(UTC)).cast(TIMESTAMP),
    ).select(known.columns)
    warehouse.load_reference(ATTRIBUTION_WEIGHTS.name, pl.concat([known, added]), version=version)
    retrained = tuple(sorted(changed.select(_KEYS).unique().iter_rows()))
    return TrainingReport(windows, conversions, retrained, version)


def _known(warehouse: Warehouse) -> pl.DataFrame:
    names = ", ".join(column.name for column in ATTRIBUTION_WEIGHTS.columns)
    known = warehouse.query(f"select {names} from {ATTRIBUTION_WEIGHTS.qualified_name}")  # noqa: S608 our own names
    # A warehouse answers in naive UTC.
    return known.with_columns(pl.col("trained_at").dt.replace_time_zone("UTC").cast(TIMESTAMP))


def _require_models(warehouse: Warehouse) -> None:
    if _MODEL not in warehouse.built_tables("intermediate"):
        raise WarehouseError(f"there is no {_MODEL} to learn from: run `adx build` first")


def _windows(warehouse: Warehouse, known: pl.DataFrame) -> tuple[date, ...]:
    """The months to train: those without weights, the newest, and what its windows reach back to.

    A month that has lost rows to retention is not trained: half of its touches would teach wrongly.

    A late touch or conversion changes a month that is over; after the month that follows it no
    look-back window reaches it, and it stays as it is.
    """
    months = warehouse.query(
        "select distinct cast(date_trunc('month', conversion_date) as date) as month "
        "from intermediate.int_attribution_touches where date_trunc('month', conversion_date) >= "
        "(select coalesce(max(kept_from), date '1000-01-01') from control.retention) order by month"
    )["month"].to_list()
    if not months:
        return ()
    trained = set(known["window_start"].to_list())
    newest = months[-1]
    previous = date(newest.year - (newest.month == 1), (newest.month - 2) % 12 + 1, 1)
    return tuple(month for month in months if month not in trained or month >= previous)


def _read(warehouse: Warehouse, windows: tuple[date, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
    if not windows:
        return STEPS_SCHEMA.to_frame(), MEMBERS_SCHEMA.to_frame()
    chosen = _dates(windows)
    steps = warehouse.query(
        f"select {', '.join(STEPS_SCHEMA)} from intermediate.int_attribution_transitions "  # noqa: S608 our own names and dates
        f"where window_start in ({chosen})"
    )
    members = warehouse.query(
        "select distinct advertiser_id, "  # noqa: S608 our own dates
        "cast(date_trunc('month', conversion_date) as date) as window_start, "
        "conversion_event_id, campaign_id from intermediate.int_attribution_touches "
        f"where cast(date_trunc('month', conversion_date) as date) in ({chosen})"
    )
    return steps.cast(STEPS_SCHEMA), members.cast(MEMBERS_SCHEMA)


def _conversions(warehouse: Warehouse, windows: tuple[date, ...]) -> int:
    if not windows:
        return 0
    ((count,),) = warehouse.query(
        "select count(distinct conversion_event_id) as conversions "  # noqa: S608 our own dates
        "from intermediate.int_attribution_touches "
        f"where cast(date_trunc('month', conversion_date) as date) in ({_dates(windows)})"
    ).rows()
    return int(count)


def _dates(windows: tuple[date, ...]) -> str:
    return ", ".join(f"date '{window.isoformat()}'" for window in windows)


def _newest(known: pl.DataFrame) -> pl.DataFrame:
    return known.filter(pl.col("version") == pl.col("version").max().over(_KEYS))


def _changed(weights: pl.DataFrame, newest: pl.DataFrame) -> pl.DataFrame:
    """The rows of every advertiser, model and month of which any row differs from the newest."""
    row = [*_KEYS, "campaign_id", "weight"]
    different = pl.concat(
        [
            weights.select(row).join(newest.select(row), on=row, how="anti"),
            newest.select(row)
            .join(weights.select(_KEYS).unique(), on=_KEYS, how="semi")
            .join(weights.select(row), on=row, how="anti"),
        ]
    )
    return weights.join(different.select(_KEYS).unique(), on=_KEYS, how="semi")
