"""Weights of campaigns, learned from what paths led to: the data-driven models of the warehouse.

Belongs here: from counted steps and converting paths to weights. Does not belong here: counting
them (dbt), keeping the weights (``pipeline.training``) or dividing conversions by them (dbt).

A weight says what a campaign is worth among its advertiser's campaigns in one training window. A
conversion is divided among its touches by the weights of their campaigns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import polars as pl

from adx_platform.attribution.amounts import apportion
from adx_platform.attribution.markov import Chain, State, removal_effects
from adx_platform.attribution.models import Model

BILLION = 1_000_000_000
"""The weights of an advertiser, model and window add up to this."""

TRAINED_MODELS = (Model.MARKOV, Model.SHAPLEY)

STEPS_SCHEMA = pl.Schema(
    {
        "advertiser_id": pl.String,
        "window_start": pl.Date,
        "from_campaign_id": pl.String,
        "to_campaign_id": pl.String,
        "steps": pl.Int64,
        "conversions": pl.Int64,
        "revenue_micros": pl.Int64,
        "losses": pl.Int64,
    }
)
"""How often paths step from campaign to campaign (null: from the start), and how often they end."""

MEMBERS_SCHEMA = pl.Schema(
    {
        "advertiser_id": pl.String,
        "window_start": pl.Date,
        "conversion_event_id": pl.String,
        "campaign_id": pl.String,
    }
)
"""The campaigns of each converting path, in any order and number."""

WEIGHTS_SCHEMA = pl.Schema(
    {
        "advertiser_id": pl.String,
        "model": pl.String,
        "window_start": pl.Date,
        "campaign_id": pl.String,
        "weight": pl.Int64,
    }
)
"""``weight`` is in billionths of the advertiser's whole."""


def trained_weights(steps: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Weights of every advertiser and window that had a conversion.

    ``markov`` weighs by the removal effect on conversions in a chain of order one. ``shapley``
    weighs by the Shapley value of the game in which a coalition is worth the conversions of those
    paths that need no campaign outside it.

    Args:
        steps: as in :data:`STEPS_SCHEMA`.
        members: as in :data:`MEMBERS_SCHEMA`.

    Returns:
        A frame as in :data:`WEIGHTS_SCHEMA`, sorted by all of its keys: the same rows in another
        order give the same frame.

    Raises:
        AttributionError: an advertiser has more campaigns than a Markov chain can have states.
    """
    rows = [*_markov_weights(steps), *_shapley_weights(members)]
    frame = pl.DataFrame(rows, schema=WEIGHTS_SCHEMA, orient="row")
    return frame.sort("advertiser_id", "model", "window_start", "campaign_id")


def _markov_weights(steps: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    for (advertiser, window), counted in steps.group_by("advertiser_id", "window_start"):
        if not counted["conversions"].sum():
            continue
        effects = removal_effects(_chain(counted)).conversions
        # The last bits of linear algebra differ between machines; they must decide no tie.
        weights = {name: Fraction(round(effect * 10**12)) for name, effect in effects.items()}
        for campaign, weight in apportion(BILLION, weights).items():
            yield advertiser, Model.MARKOV.value, window, campaign, weight


def _chain(counted: pl.DataFrame) -> Chain:
    steps: dict[State, dict[State, int]] = defaultdict(lambda: defaultdict(int))
    ends: dict[str, dict[State, int]] = {
        name: defaultdict(int) for name in ("conversions", "revenue_micros", "losses")
    }
    for row in counted.iter_rows(named=True):
        before: State = () if row["from_campaign_id"] is None else (row["from_campaign_id"],)
        state: State = (row["to_campaign_id"],)
        steps[before][state] += row["steps"]
        for name, counts in ends.items():
            counts[state] += row[name]
    return Chain(steps, ends["conversions"], ends["revenue_micros"], ends["losses"])


def _shapley_weights(members: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    keys = ["advertiser_id", "window_start"]
    path = [*keys, "conversion_event_id"]
    parts = (
        members.unique([*path, "campaign_id"])
        .with_columns(size=pl.len().over(path))
        .group_by(*keys, "campaign_id", "size")
        .agg(paths=pl.len())
    )
    for (advertiser, window), counted in parts.group_by(*keys):
        weights: dict[str, Fraction] = defaultdict(Fraction)
        for campaign, size, paths in counted.select("campaign_id", "size", "paths").iter_rows():
            weights[campaign] += Fraction(paths, size)
        for campaign, weight in apportion(BILLION, weights).items():
            yield advertiser, Model.SHAPLEY.value, window, campaign, weight
