from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import redshift_connector
import yaml
from dbt.adapters.contracts.connection import ConnectionState
from dbt.adapters.redshift.connections import RedshiftCredentials, get_connection_method
from dbt.adapters.spark.connections import SparkConnectionManager, SparkCredentials
from dbt.config.renderer import ProfileRenderer
from dbt_common.context import set_invocation_context

from adx_platform.settings import load_settings
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.duckdb_engine import DuckDBWarehouse
from adx_platform.warehouse.hive_catalog import HiveCatalog
from adx_platform.warehouse.profiles import dbt_environment
from adx_platform.warehouse.redshift_connection import connection_arguments
from adx_platform.warehouse.selection import open_warehouse

PROFILES = Path(__file__).parents[3] / "dbt_project" / "profiles.yml"


def test_duckdb_is_found_where_the_settings_say(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, warehouse={"threads": 3})
    environment = dbt_environment(settings)
    assert environment["ADX_DBT_TARGET"] == "duckdb"
    assert environment["ADX_DUCKDB_PATH"] == str(settings.duckdb_path)
    assert environment["ADX_DBT_THREADS"] == "3"
    assert environment["DO_NOT_TRACK"] == "1"
    assert "ADX_WAREHOUSE__PASSWORD" not in environment


def test_remote_engines_get_their_address() -> None:
    warehouse = {
        "engine": "hive",
        "host": "hive.example",
        "port": 10000,
        "user": "adx",
        "password": "s3cret",
    }
    environment = dbt_environment(load_settings(warehouse=warehouse))
    assert environment["ADX_DBT_TARGET"] == "spark"
    assert environment["ADX_WAREHOUSE__HOST"] == "hive.example"
    assert environment["ADX_WAREHOUSE__PORT"] == "10000"
    assert environment["ADX_WAREHOUSE__PASSWORD"] == "s3cret"


def test_the_profile_reads_what_we_give() -> None:
    read = set(re.findall(r"env_var\('(\w+)'", PROFILES.read_text(encoding="utf-8")))
    warehouse = {
        "host": "h",
        "port": 1,
        "user": "u",
        "password": "p",
        "cluster_id": "c",
        "workgroup": "w",
        "region": "r",
        "iam_profile": "i",
    }
    assert read <= set(dbt_environment(load_settings(warehouse=warehouse)))


@pytest.mark.parametrize(
    "given",
    [
        {"password": "p"},
        {"password": "p", "sslmode": "disable", "port": 5555},
        {"password": "p", "sslmode": "verify-full"},
        {"iam_auth": True, "cluster_id": "c", "region": "eu-west-1", "iam_profile": "people"},
        {"iam_auth": True, "workgroup": "w", "region": "eu-west-1"},
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dbt_logs_in_to_redshift_as_the_loader_does(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both give the driver the same; its own defaults stand for what one of them leaves out."""
    settings = load_settings(
        warehouse={"engine": "redshift", "host": "h", "user": "u", "database": "d", **given}
    )
    set_invocation_context(dbt_environment(settings))
    profile = yaml.safe_load(PROFILES.read_text(encoding="utf-8"))["adx"]["outputs"]["redshift"]
    rendered = ProfileRenderer({}).render_data(profile)
    values = {name: value for name, value in rendered.items() if name not in {"type", "threads"}}
    credentials = RedshiftCredentials.from_dict(RedshiftCredentials.translate_aliases(values))
    handed: dict[str, Any] = {}
    monkeypatch.setattr(
        redshift_connector, "connect", lambda **named: handed.update(named) or Mock()
    )
    get_connection_method(credentials)()
    ours = connection_arguments(settings.warehouse)
    compared = {
        *("host", "port", "database", "user", "password", "ssl", "iam", "db_user", "profile"),
        *("region", "cluster_identifier", "is_serverless", "serverless_work_group"),
        *(["sslmode"] if ours["ssl"] else []),
    }
    for name in sorted(compared):
        assert (ours.get(name) or None) == (handed.get(name) or None), name


@pytest.mark.parametrize("password", [None, "p", "0123", "it's {{ odd }}"])
def test_dbt_logs_in_to_hive_as_the_loader_does(
    password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each word of a password is a text, and without one nobody says LDAP."""
    given = {} if password is None else {"password": password}
    warehouse = {"engine": "hive", "host": "h", "port": 10009, "user": "u", **given}
    settings = load_settings(warehouse=warehouse)
    set_invocation_context(dbt_environment(settings))
    profile = yaml.safe_load(PROFILES.read_text(encoding="utf-8"))["adx"]["outputs"]["spark"]
    rendered = ProfileRenderer({}).render_data(profile)
    values = {name: value for name, value in rendered.items() if name not in {"type", "threads"}}
    handed: list[dict[str, Any]] = []

    def connect(*positional: str, **named: Any) -> Mock:
        handed.append(dict(zip(("host",), positional, strict=False)) | named)
        return Mock()

    monkeypatch.setattr("pyhive.hive.connect", connect)
    HiveCatalog("h", 10009, "u", password)
    connection = Mock(state=ConnectionState.INIT, credentials=SparkCredentials.from_dict(values))
    SparkConnectionManager.open(connection)

    ours, dbts = handed
    assert dbts["password"] == password
    assert dbts["auth"] == ("NONE" if password is None else "LDAP")
    assert {name: dbts[name] for name in ours} == ours


def test_the_engine_of_the_settings_is_opened(tmp_path: Path) -> None:
    with open_warehouse(load_settings(home=tmp_path)) as warehouse:
        assert isinstance(warehouse, DuckDBWarehouse)
        warehouse.ensure_schema()
        assert warehouse.latest_load() == 0
    assert (tmp_path / "warehouse" / "adx.duckdb").is_file()


def test_a_hive_that_does_not_answer_is_named(unused_port: int, tmp_path: Path) -> None:
    hive = {"engine": "hive", "host": "127.0.0.1", "port": unused_port}
    with pytest.raises(WarehouseError, match=f"no HiveServer2 answers at 127.0.0.1:{unused_port}"):
        open_warehouse(load_settings(home=tmp_path, warehouse=hive))
