"""What the built warehouse holds of the loaded rows: the last stretch of conservation.

Belongs here: comparing what dbt classified with what was loaded, and the question whether a build
is due. Does not belong here: the classification itself (``dbt_project``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adx_platform.quality.conservation import OffsetEquation
from adx_platform.quality.metrics import Query

BUILT_SCHEMAS = ("intermediate", "marts")
"""Schemas of the tables that dbt builds."""

_COUNTS = ("accepted", "rejected", "duplicate", "conflict", "absent", "lost")


@dataclass(frozen=True, slots=True)
class EventBalance:
    """One event table: what was loaded against what the build made of it.

    Attributes:
        table: name of the raw table.
        loaded: rows in the raw table.
        accepted: rows that the build classified as the one copy that counts.
        duplicate: further copies with the same payload.
        conflict: further copies with another payload.
        winners: rows in the deduplicated model, which the marts read.
    """

    table: str
    loaded: int
    accepted: int
    duplicate: int
    conflict: int
    winners: int

    @property
    def holds(self) -> bool:
        """Every loaded row has one class, and every accepted one is a winner."""
        classified = self.accepted + self.duplicate + self.conflict
        return self.loaded == classified and self.winners == self.accepted

    def explain(self) -> str:
        """One line for a person."""
        return (
            f"{self.table}: {self.loaded:,} loaded = {self.accepted:,} accepted + "
            f"{self.duplicate:,} duplicate + {self.conflict:,} conflict, "
            f"{self.winners:,} winners: {'holds' if self.holds else 'broken'}"
        )


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """What no green build has included yet."""

    loads: int
    references: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether a build would change anything."""
        return bool(self.loads or self.references)


def marts_equations(query: Query) -> tuple[OffsetEquation, ...]:
    """The equations of ``marts.conservation_offsets``, with the verdict recomputed here."""
    rows = query(
        "select stream, topic_id, partition_id, start_offset, end_offset, repeated_offsets, "  # noqa: S608 our own names
        f"{', '.join(_COUNTS)} from marts.conservation_offsets "
        "order by stream, topic_id, partition_id"
    )
    return tuple(_equation(row) for row in rows.iter_rows(named=True))


def event_balances(query: Query, tables: Sequence[str]) -> tuple[EventBalance, ...]:
    """Balance each event table of schema ``raw`` against its classified and deduplicated models."""
    return tuple(_balance(query, table) for table in tables)


def model_rows(query: Query, tables: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Rows of ``tables`` (by schema), by name; names are unique over the schemas."""
    counts = [
        f"select '{table}' as model, count(*) as n from {schema}.{table}"  # noqa: S608 our own name
        for schema, names in tables.items()
        for table in names
    ]
    return dict(query(" union all ".join(counts)).rows()) if counts else {}


def unbuilt(query: Query) -> Unbuilt:
    """Loads and reference tables that came after the last green build."""
    ((loads,),) = query(
        "select count(*) as loads from control.loads where load_id > "
        "(select coalesce(max(to_load_id), -1) from control.builds)"
    ).rows()
    # Before the first build there is nothing to rebuild for: the first load starts it.
    references = query(
        "select table_name from control.reference_loads where loaded_at > "
        "(select max(completed_at) from control.builds) order by table_name"
    )
    return Unbuilt(int(loads), tuple(references["table_name"].to_list()))


def _equation(row: dict[str, str | int]) -> OffsetEquation:
    start, end = int(row["start_offset"]), int(row["end_offset"])
    counts = {name: int(row[name]) for name in _COUNTS}
    return OffsetEquation(
        layer="marts",
        stream=str(row["stream"]),
        topic_id=str(row["topic_id"]),
        partition=int(row["partition_id"]),
        start=start,
        end=end,
        missing=max(0, end - start - sum(counts.values())),
        doubled=int(row["repeated_offsets"]),
        accepted=counts["accepted"],
        rejected=counts["rejected"],
        duplicate=counts["duplicate"],
        conflict=counts["conflict"],
        absent=counts["absent"],
        lost=counts["lost"],
    )


def _balance(query: Query, table: str) -> EventBalance:
    ((loaded,),) = query(f"select count(*) as n from raw.{table}").rows()  # noqa: S608 our own name
    classes = dict(
        query(
            "select disposition, count(*) as n "  # noqa: S608 our own name
            f"from intermediate.int_{table}_classified group by disposition"
        ).rows()
    )
    ((winners,),) = query(
        f"select count(*) as n from intermediate.int_{table}_deduped"  # noqa: S608 our own name
    ).rows()
    unknown = set(classes) - {"accepted", "duplicate", "conflict"}
    if unknown:
        raise ValueError(f"int_{table}_classified has the dispositions {sorted(unknown)}")
    return EventBalance(
        table=table,
        loaded=int(loaded),
        accepted=int(classes.get("accepted", 0)),
        duplicate=int(classes.get("duplicate", 0)),
        conflict=int(classes.get("conflict", 0)),
        winners=int(winners),
    )
