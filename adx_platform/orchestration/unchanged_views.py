"""Views that are what the dbt project says already: a build leaves them out.

Belongs here: which they are, and their events, as a view is always as new as what it reads. Does
not belong here: running dbt (``assets_dbt``), or how a view says what it was made from
(``macros/build/view.sql``).

Nearly half of the models are views. Making them again was a tenth of an hour's build (measured
2026-11), nearly all of it dbt's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg


@dataclass(frozen=True, slots=True)
class View:
    """A model that is a view.

    Attributes:
        unique_id: dbt's name of it.
        key: its asset.
        reads: dbt's names of the models that it reads.
    """

    unique_id: str
    key: dg.AssetKey
    reads: tuple[str, ...]


def views_of(manifest: Mapping[str, Any], keys: Mapping[str, dg.AssetKey]) -> tuple[View, ...]:
    """Every view of a project.

    Args:
        manifest: dbt's.
        keys: of the models, by dbt's names.
    """
    return tuple(
        View(
            name,
            keys[name],
            tuple(read for read in node["depends_on"]["nodes"] if read in keys),
        )
        for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "view"
    )


def are_unchanged(views: Iterable[View], made: frozenset[str]) -> bool:
    """Whether all of them are among those that the project made, so that none is to be made.

    Args:
        views: of the project.
        made: names of views in the warehouse.
    """
    return made >= {view.unique_id.rpartition(".")[2] for view in views}


def with_unchanged(events: Iterable[Any], views: Iterable[View]) -> Iterator[Any]:
    """Put in the events of views that were left out, each after those of what it reads.

    Dagster refuses an asset's event after that of one which reads it.

    Args:
        events: of the models that were built, in the order of the graph, and of tests.
        views: those that were left out. One that reads a table that failed has no event.
    """
    waiting = {view.unique_id: view for view in views}
    seen: set[str] = set()
    yield from _ready(waiting, seen)
    for event in events:
        yield event
        if isinstance(event, dg.Output):
            seen.add(str(event.metadata["unique_id"].value))
            yield from _ready(waiting, seen)


def _ready(waiting: dict[str, View], seen: set[str]) -> Iterator[dg.Output[None]]:
    """Events of the views that wait for nothing any more, and of those that waited for them."""
    while ready := [view for view in waiting.values() if seen.issuperset(view.reads)]:
        for view in ready:
            del waiting[view.unique_id]
            seen.add(view.unique_id)
            yield dg.Output(
                None,
                output_name=view.key.to_python_identifier(),
                metadata={"unique_id": view.unique_id, "made": "by an earlier build: unchanged"},
            )
