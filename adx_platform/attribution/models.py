"""All models on one set of paths: who gets how much of the total.

Belongs here: the list of models, their options, and the frame of credits. Does not belong here: how
a model judges (``rules``, ``markov``, ``shapley``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import polars as pl

from adx_platform.attribution import rules
from adx_platform.attribution.amounts import apportion
from adx_platform.attribution.markov import markov
from adx_platform.attribution.paths import Paths
from adx_platform.attribution.rules import Credits
from adx_platform.attribution.shapley import shapley_of_rate

DEFAULT_HALF_LIFE = timedelta(days=7)
DEFAULT_HALF_LIFE_TOUCHES = 1.0

CREDITS_SCHEMA = pl.Schema(
    {
        "model": pl.String,
        "channel": pl.String,
        "conversions_micros": pl.Int64,
        "value_micros": pl.Int64,
    }
)
"""One row per model and channel. ``value_micros`` is null if the conversions had no value."""


class Model(StrEnum):
    """A way to divide a conversion among the channels that led to it."""

    LAST_TOUCH = "last_touch"
    FIRST_TOUCH = "first_touch"
    LINEAR = "linear"
    TIME_DECAY = "time_decay"
    POSITION_BASED = "position_based"
    MARKOV = "markov"
    SHAPLEY = "shapley"


_RULES = {
    Model.LAST_TOUCH: rules.last_touch,
    Model.FIRST_TOUCH: rules.first_touch,
    Model.LINEAR: rules.linear,
    Model.POSITION_BASED: rules.position_based,
}


class Worth(StrEnum):
    """What a coalition is worth to the Shapley value."""

    CONVERSIONS = "conversions"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What some models can be told."""

    half_life: timedelta = DEFAULT_HALF_LIFE
    """Time decay, of paths with times."""
    half_life_touches: float = DEFAULT_HALF_LIFE_TOUCHES
    """Time decay, of paths without."""
    order: int = 1
    """Markov: how many channels a state remembers."""
    worth: Worth = Worth.CONVERSIONS
    """Shapley: the characteristic function."""


def attribute(
    paths: Paths, models: Sequence[Model] = tuple(Model), options: ModelOptions | None = None
) -> pl.DataFrame:
    """Credit per model and channel, in micros.

    The credits of each model add up to exactly the conversions of ``paths``, and to exactly their
    value. Every channel of any path has a row in every model, also with nothing.

    Args:
        paths: somebody converted.
        models: which, in the order of the result.
        options: what the models are told.

    Returns:
        A frame as in :data:`CREDITS_SCHEMA`; in each model the channel with most credit first.

    Raises:
        AttributionError: a model would need more states or coalitions than it can have.
    """
    given = options or ModelOptions()
    rows = []
    for model in dict.fromkeys(models):
        conversions = _divided(paths, model, "conversions_micros", given)
        values = _divided(paths, model, "value_micros", given) if paths.has_value else {}
        ranked = sorted(conversions, key=lambda channel: (-conversions[channel], channel))
        rows += [
            (model.value, channel, conversions[channel], values.get(channel)) for channel in ranked
        ]
    return pl.DataFrame(rows, schema=CREDITS_SCHEMA, orient="row")


def weights_of(paths: Paths, model: Model, column: str, options: ModelOptions) -> Credits:
    """What ``model`` gives each channel, before it is scaled to the total and made whole.

    Args:
        paths: what happened.
        model: who judges.
        column: ``conversions_micros`` or ``value_micros``.
        options: what the models are told.
    """
    if rule := _RULES.get(model):
        return rule(paths, column)
    if model is Model.MARKOV:
        return markov(paths, column, order=options.order)
    if model is Model.TIME_DECAY:
        return rules.time_decay(
            paths,
            column,
            half_life=options.half_life,
            half_life_touches=options.half_life_touches,
        )
    if options.worth is Worth.RATE:
        return shapley_of_rate(paths, column)
    return rules.shared_by_channels(paths, column)


def _divided(paths: Paths, model: Model, column: str, options: ModelOptions) -> dict[str, int]:
    return apportion(paths.total(column), weights_of(paths, model, column, options))
