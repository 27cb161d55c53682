"""The environment under which dbt finds the warehouse.

Belongs here: the variables that ``dbt_project/profiles.yml`` reads. Does not belong here: running
dbt.
"""

from __future__ import annotations

from adx_platform.settings import Settings

DBT_TARGETS: dict[str, str] = {"duckdb": "duckdb", "redshift": "redshift", "hive": "spark"}
"""Warehouse engine -> target of the dbt profile; HiveServer2 is reached by dbt's Spark adapter."""


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Variables to add to the environment of a dbt run.

    The password of a remote warehouse is among them where one is set: pass the result to the
    process, never to a log.
    """
    warehouse = settings.warehouse
    values: dict[str, str | None] = {
        "ADX_DBT_TARGET": DBT_TARGETS[warehouse.engine],
        "ADX_DBT_THREADS": str(warehouse.threads),
        "ADX_DUCKDB_PATH": str(settings.duckdb_path),
        "ADX_WAREHOUSE__MEMORY_LIMIT": warehouse.memory_limit,
        "ADX_WAREHOUSE__HOST": warehouse.host,
        "ADX_WAREHOUSE__PORT": None if warehouse.port is None else str(warehouse.port),
        "ADX_WAREHOUSE__DATABASE": warehouse.database,
        "ADX_WAREHOUSE__USER": warehouse.user,
        "ADX_WAREHOUSE__PASSWORD": (
            None if warehouse.password is None else warehouse.password.get_secret_value()
        ),
        "ADX_WAREHOUSE__SSLMODE": warehouse.sslmode,
        "ADX_DBT_REDSHIFT_METHOD": "iam" if warehouse.iam_auth else "database",
        "ADX_WAREHOUSE__CLUSTER_ID": warehouse.cluster_id,
        "ADX_WAREHOUSE__WORKGROUP": warehouse.workgroup,
        "ADX_WAREHOUSE__REGION": warehouse.region,
        "ADX_WAREHOUSE__IAM_PROFILE": warehouse.iam_profile,
        # dbt asks the network for its version and reports usage unless it is told not to.
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    return {name: value for name, value in values.items() if value is not None}
