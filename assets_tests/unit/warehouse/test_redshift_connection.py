"""How we log in to Redshift, what we take for a conflict, and who may read which column."""

from __future__ import annotations

from typing import Any

import pytest
from redshift_connector.error import ProgrammingError

from adx_platform.settings import load_settings
from adx_platform.settings_sections import WarehouseSettings
from adx_platform.warehouse import redshift_connection
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.redshift_connection import (
    RedshiftConflictError,
    connection_arguments,
    marks,
    quoted,
    retried,
)
from adx_platform.warehouse.redshift_engine import RedshiftWarehouse
from adx_platform.warehouse.redshift_frames import frame_of
from adx_platform.warehouse.redshift_grants import RESTRICTED_COLUMNS, grant_statements
from adx_platform.warehouse.redshift_upkeep import TableState, upkeep_statements
from adx_platform.warehouse.tables import ALL_TABLES


def section(**given: Any) -> WarehouseSettings:
    return load_settings(warehouse={"engine": "redshift", **given}).warehouse


def test_a_password_goes_over_a_checked_connection() -> None:
    given = connection_arguments(section(host="h", user="u", password="p"))
    assert (given["host"], given["port"], given["user"], given["password"]) == ("h", 5439, "u", "p")
    assert (given["ssl"], given["sslmode"]) == (True, "verify-ca")
    assert "timeout" not in given, "it would hold for every statement, not only for connecting"
    strict = connection_arguments(
        section(host="h", user="u", password="p", sslmode="verify-full", port=1)
    )
    assert (strict["sslmode"], strict["port"]) == ("verify-full", 1)
    assert not connection_arguments(section(host="h", user="u", password="p", sslmode="disable"))[
        "ssl"
    ]


def test_temporary_passwords_are_asked_for_by_cluster_or_workgroup() -> None:
    common = {"iam_auth": True, "host": "h", "user": "u", "region": "eu-west-1"}
    cluster = connection_arguments(section(**common, cluster_id="c", iam_profile="p"))
    assert cluster["iam"] is True
    assert (cluster["cluster_identifier"], cluster["is_serverless"]) == ("c", False)
    assert (cluster["db_user"], cluster["profile"], cluster["region"]) == ("u", "p", "eu-west-1")
    serverless = connection_arguments(section(**common, workgroup="w"))
    assert (serverless["serverless_work_group"], serverless["is_serverless"]) == ("w", True)
    assert serverless["cluster_identifier"] is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"host": "h", "user": "u"}, "ADX_WAREHOUSE__PASSWORD"),
        ({"user": "u", "password": "p"}, "ADX_WAREHOUSE__HOST"),
        ({"iam_auth": True, "host": "h", "user": "u"}, "one of ADX_WAREHOUSE__CLUSTER_ID"),
        (
            {"iam_auth": True, "host": "h", "user": "u", "cluster_id": "c", "workgroup": "w"},
            "one of ADX_WAREHOUSE__CLUSTER_ID",
        ),
        ({"iam_auth": True, "host": "h", "cluster_id": "c"}, "in ADX_WAREHOUSE__USER"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(WarehouseError, match=told):
        connection_arguments(section(**given))


def test_a_role_for_copy_is_asked_for_before_anything_is_opened() -> None:
    with pytest.raises(WarehouseError, match="ADX_WAREHOUSE__IAM_ROLE"):
        RedshiftWarehouse.from_settings(load_settings(warehouse={"engine": "redshift"}))


@pytest.mark.parametrize(
    ("answer", "is_conflict"),
    [
        ({"C": "XX000", "M": "1023", "D": "Serializable isolation violation on table - 7"}, True),
        ({"C": "XX000", "M": "ERROR: 1023", "D": "serializable isolation violation"}, True),
        ({"C": "40001", "M": "could not serialize access"}, True),
        ({"C": "40P01", "M": "deadlock detected"}, True),
        ({"C": "XX000", "M": "Spectrum Scan Error", "D": "code: 15001"}, False),
        ({"C": "42P01", "M": 'relation "x" does not exist'}, False),
    ],
)
def test_conflicts_are_told_from_errors(answer: dict[str, str], is_conflict: bool) -> None:
    error = redshift_connection._explained(ProgrammingError(answer))
    assert isinstance(error, RedshiftConflictError) == is_conflict
    assert answer["M"] in str(error)


def test_a_conflict_is_retried_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(redshift_connection.time, "sleep", pauses.append)

    def work() -> str:
        if len(pauses) < 3:
            raise RedshiftConflictError("again")
        return "done"

    assert retried(work) == "done"
    assert len(pauses) == 3
    assert all(0.1 * 2**n <= pause <= 0.3 * 2**n for n, pause in enumerate(pauses))
    with pytest.raises(WarehouseError, match="no conflict"):
        retried(lambda: (_ for _ in ()).throw(WarehouseError("no conflict")))


def test_values_are_bound_and_literals_are_escaped() -> None:
    assert marks([(1, "a"), (2, "b")]) == (
        "(:v0_0, :v0_1), (:v1_0, :v1_1)",
        {"v0_0": 1, "v0_1": "a", "v1_0": 2, "v1_1": "b"},
    )
    assert quoted("it's a \\") == r"'it''s a \\'"


def test_unknown_types_become_text() -> None:
    frame = frame_of([("a", 20), ("b", 2950)], [(1, "x"), (None, None)])
    assert frame.rows() == [(1, "x"), (None, None)]


def test_personal_columns_are_granted_to_one_role_only() -> None:
    columns = {"fct": ["id", "user_id", "day"], "agg": ["day", "clicks"]}
    both = section(reader_role="reader", restricted_role="people")
    assert list(grant_statements(both, "published", columns)) == [
        'GRANT USAGE ON SCHEMA published TO ROLE "reader"',
        'GRANT USAGE ON SCHEMA published TO ROLE "people"',
        'GRANT SELECT ON published."fct" TO ROLE "people"',
        'GRANT SELECT ("id", "day") ON published."fct" TO ROLE "reader"',
        'GRANT SELECT ON published."agg" TO ROLE "people"',
        'GRANT SELECT ON published."agg" TO ROLE "reader"',
    ]
    assert list(grant_statements(section(), "published", columns)) == []


def test_every_pseudonym_of_a_contract_is_restricted() -> None:
    names = {column.name for table in ALL_TABLES for column in table.columns}
    about_users = {name for name in names if name.startswith("user_id")}
    # The name of a key is the same for everybody.
    assert about_users - {"user_id_key_id"} == RESTRICTED_COLUMNS


def state(name: str, **given: float) -> TableState:
    rows = {"stats_off": 0, "unsorted": 0, "rows": 1e6, "visible_rows": 1e6, **given}
    return TableState(name, **rows)


def test_upkeep_takes_the_worst_and_leaves_the_rest() -> None:
    states = [
        state("fresh"),
        state("stale", stats_off=10),
        state("unsorted", unsorted=35, stats_off=90),
        state("deleted", visible_rows=6e5),
        state("less", unsorted=21),
        state("small", unsorted=99, rows=1e3, visible_rows=1e3),
        state("empty", rows=0, visible_rows=0),
    ]
    assert upkeep_statements(states) == [
        "VACUUM deleted",
        "VACUUM unsorted",
        "ANALYZE stale",
        "ANALYZE unsorted",
    ]
