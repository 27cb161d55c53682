"""Does what is stored as accepted fulfil the contract?

Belongs here: running the contract's models over stored accepted rows and summing up what fails.
Does not belong here: the models (``contracts.frames``) or the decision to reject (``refine``); a
violation here means that the refiner let something through.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandera.errors
import polars as pl

from adx_platform.contracts.frames import breaks_contract, contract_model
from adx_platform.contracts.streams import Stream


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: how many accepted rows break it, and one of their pointers."""

    record_type: str
    column: str
    rule: str
    rows: int
    example: str


@dataclass(frozen=True, slots=True)
class ContractReport:
    """What a verification found.

    Attributes:
        checked: rows verified by record type.
        unknown: accepted rows whose record type is not the stream's.
        violations: broken rules, the most frequent first.
    """

    checked: dict[str, int]
    unknown: int
    violations: tuple[Violation, ...]

    @property
    def passed(self) -> bool:
        """No row breaks a rule."""
        return not self.violations and not self.unknown


def verify_contract(stream: Stream, accepted: pl.DataFrame) -> ContractReport:
    """Verify accepted rows of ``stream``, record type by record type.

    Args:
        stream: the stream whose contract holds.
        accepted: rows with all columns of ``stream.events_schema`` and disposition accepted.
    """
    violations: list[Violation] = []
    checked: dict[str, int] = {}
    for record_type in stream.record_types:
        rows = accepted.filter(pl.col("record_type") == record_type)
        checked[record_type] = rows.height
        if rows.height:
            violations.extend(_violations(stream, record_type, rows))
    unknown = accepted.height - sum(checked.values())
    violations.sort(key=lambda violation: -violation.rows)
    return ContractReport(checked, unknown, tuple(violations))


def _violations(stream: Stream, record_type: str, rows: pl.DataFrame) -> list[Violation]:
    # One expression finds the rows; pandera names their faults, and that takes a hundred times as
    # long. With other types than the contract's the expression says nothing.
    if all(rows.schema.get(name) == dtype for name, dtype in stream.events_schema.items()):
        rows = rows.filter(breaks_contract(stream.name, record_type))
        if rows.is_empty():
            return []
    try:
        contract_model(stream.name, record_type).validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    found: list[Violation] = []
    for (column, rule), failed in cases.group_by("column", "check", maintain_order=True):
        # A wrong type fails the column as a whole: pandera then names no row.
        positions = failed["index"].drop_nulls()
        example = "the whole column"
        if positions.len():
            row = rows.row(int(positions[0]), named=True)
            example = f"{row['topic_id']}/{row['partition']}/{row['offset']}"
        found.append(
            Violation(
                record_type,
                str(column) if column is not None else "(row)",
                str(rule),
                positions.len() or rows.height,
                example,
            )
        )
    return found
