"""Does the reference data in the warehouse cover what the newest events need?

Belongs here: the check on the reference assets, and how it is shown. Does not belong here: what is
compared (``quality.reference_coverage``).
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from adx_platform.orchestration import keys
from adx_platform.orchestration.resources import Line
from adx_platform.quality.incidents.documents import REMEDY_METADATA, remedy_document
from adx_platform.quality.incidents.model import Action, Remedy
from adx_platform.quality.reference_coverage import Coverage, coverage
from adx_platform.reference.files import ReferenceData, ReferenceDataError

COVERAGE: Final = "reference_coverage"
CHECKED_TABLES: Final = ("fx_rates", "campaigns")

_DESCRIPTIONS = {
    "fx_rates": "Rates for every day and pair of currencies that the newest events need.",
    "campaigns": "Campaigns of the newest events are known.",
}


def coverage_checks() -> list[dg.AssetChecksDefinition]:
    """One check on each table that figures depend on from day to day."""
    return [_coverage_check(table) for table in CHECKED_TABLES]


def coverage_check_keys() -> list[dg.AssetCheckKey]:
    """The same, for the selections of jobs."""
    return [dg.AssetCheckKey(keys.reference_key(table), COVERAGE) for table in CHECKED_TABLES]


def _coverage_check(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.reference_key(table),
        name=COVERAGE,
        pool=keys.WAREHOUSE_POOL,
        description=(
            f"{_DESCRIPTIONS[table]} The loaded table is that of the file, and can be read."
        ),
    )
    def check_coverage(line: dg.ResourceParam[Line]) -> dg.AssetCheckResult:
        files: ReferenceData | None = None
        unreadable = ""
        try:
            files = line.read_reference()
        except ReferenceDataError as error:
            unreadable = str(error)
        with line.warehouse() as warehouse:
            found = coverage(warehouse.query, table, files, unreadable=unreadable)
        return _result(table, found)

    return check_coverage


def _result(table: str, found: Coverage) -> dg.AssetCheckResult:
    remedy = remedy_document(Remedy(Action.RELOAD_REFERENCE))
    return dg.AssetCheckResult(
        asset_key=keys.reference_key(table),
        check_name=COVERAGE,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=found.explain(),
        metadata={
            "needed": found.needed,
            "missing": found.missing,
            **({} if found.passed else {REMEDY_METADATA: dg.JsonMetadataValue(remedy)}),
        },
    )
