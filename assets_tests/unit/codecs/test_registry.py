from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adx_platform.codecs.confluent_registry import ConfluentSchemaRegistry
from adx_platform.codecs.registry import (
    FileSchemaRegistry,
    RegistryError,
    RegistryUnavailableError,
    UnknownSchemaIdError,
    open_registry,
)
from adx_platform.settings import RegistrySettings, load_settings
from assets_tests.servers.schema_registry import confluent_server

SCHEMA = '{"type": "record", "name": "R", "fields": []}'
OTHER = '{"type": "record", "name": "S", "fields": []}'


def test_a_registered_schema_is_found_by_its_id(tmp_path: Path) -> None:
    registry = FileSchemaRegistry(tmp_path)
    schema_id = registry.register("a/R ü", SCHEMA)
    assert 0 < schema_id < 2**31
    assert FileSchemaRegistry(tmp_path).schema(schema_id) == SCHEMA
    assert registry.subjects() == ["a/R ü"]


def test_ids_depend_on_the_schema_alone(tmp_path: Path) -> None:
    first, second = FileSchemaRegistry(tmp_path / "1"), FileSchemaRegistry(tmp_path / "2")
    one = [first.register("s", SCHEMA), first.register("s", OTHER)]
    two = [second.register("t", OTHER), second.register("u", SCHEMA.replace(" ", ""))]
    assert one == two[::-1]
    assert one[0] != one[1]
    assert first.register("other", SCHEMA) == one[0]
    assert first.subjects() == ["other", "s"]


def test_two_schemas_whose_hashes_meet_get_two_ids(tmp_path: Path) -> None:
    registry = FileSchemaRegistry(tmp_path)
    schema_id = FileSchemaRegistry(tmp_path / "elsewhere").register("s", SCHEMA)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / f"{schema_id}.avsc").write_text(OTHER)
    assert registry.register("s", SCHEMA) == schema_id + 1
    assert registry.schema(schema_id) == OTHER


def test_an_unknown_id_may_become_known(tmp_path: Path) -> None:
    reader, writer = FileSchemaRegistry(tmp_path), FileSchemaRegistry(tmp_path)
    schema_id = FileSchemaRegistry(tmp_path / "elsewhere").register("s", SCHEMA)
    with pytest.raises(UnknownSchemaIdError, match=str(schema_id)):
        reader.schema(schema_id)
    assert reader.subjects() == []
    assert writer.register("s", SCHEMA) == schema_id
    assert reader.schema(schema_id) == SCHEMA


def test_what_is_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="not JSON"):
        FileSchemaRegistry(tmp_path).register("s", "record")
    with pytest.raises(RegistryError, match="name"):
        FileSchemaRegistry(tmp_path).register("", SCHEMA)


def _register_many(directory: str, start: Any, found: Any) -> None:
    registry = FileSchemaRegistry(Path(directory))
    start.wait(30)
    schemas = [SCHEMA.replace("R", f"R{number}") for number in range(15)]
    found.put([registry.register("s", schema) for schema in schemas])


def test_two_processes_may_register_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, found = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_register_many, args=(str(tmp_path), start, found)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    first, second = found.get(timeout=60), found.get(timeout=60)
    for worker in workers:
        worker.join(60)
    found.close()
    found.join_thread()
    assert first == second
    registry = FileSchemaRegistry(tmp_path)
    assert all(json.loads(registry.schema(schema_id)) for schema_id in first)
    assert sorted(path.suffix for path in (tmp_path / "schemas").iterdir()) == [".avsc"] * 15


def test_a_server_is_asked_once_per_schema() -> None:
    with confluent_server() as server:
        registry = ConfluentSchemaRegistry(RegistrySettings(url=server.url))
        schema_id = registry.register("com.advertisex.adx.R", SCHEMA)
        assert registry.subjects() == ["com.advertisex.adx.R"]
        fresh = ConfluentSchemaRegistry(RegistrySettings(url=server.url))
        assert [fresh.schema(schema_id) for _ in range(3)] == [SCHEMA] * 3
        assert server.requests.count(f"GET /schemas/ids/{schema_id}") == 1


def test_an_id_the_server_does_not_have_is_unknown() -> None:
    with confluent_server() as server:
        registry = ConfluentSchemaRegistry(RegistrySettings(url=server.url))
        with pytest.raises(UnknownSchemaIdError, match="7"):
            registry.schema(7)


def test_an_address_without_a_registry_is_no_verdict_on_a_message() -> None:
    with confluent_server() as server:
        registry = ConfluentSchemaRegistry(RegistrySettings(url=f"{server.url}/elsewhere"))
        with pytest.raises(RegistryError, match="ADX_REGISTRY__URL") as caught:
            registry.schema(7)
        assert not isinstance(caught.value, UnknownSchemaIdError)


def test_a_refused_schema_says_why() -> None:
    with confluent_server() as server:
        registry = ConfluentSchemaRegistry(RegistrySettings(url=server.url))
        with pytest.raises(RegistryError, match="Schema is incompatible") as caught:
            registry.register("s", SCHEMA.replace("R", "incompatible"))
        assert not isinstance(caught.value, RegistryUnavailableError)


@pytest.mark.parametrize(("password", "good"), [("s3cret", True), ("wrong", False)])
def test_credentials_are_sent_and_their_failure_is_explained(password: str, good: bool) -> None:
    with confluent_server() as server:
        server.credentials = "adx:s3cret"
        registry = ConfluentSchemaRegistry(
            RegistrySettings(url=server.url, username="adx", password=SecretStr(password))
        )
        if good:
            assert registry.register("s", SCHEMA) == 1
            return
        for ask in (lambda: registry.schema(1), lambda: registry.register("s", SCHEMA)):
            with pytest.raises(RegistryError, match="ADX_REGISTRY__PASSWORD") as caught:
                ask()
            assert not isinstance(caught.value, UnknownSchemaIdError)
            assert password not in str(caught.value)


def test_a_broken_server_is_no_verdict_on_a_message() -> None:
    with confluent_server() as server:
        server.broken_with = 500
        registry = ConfluentSchemaRegistry(RegistrySettings(url=server.url))
        with pytest.raises(RegistryUnavailableError, match="HTTP 500"):
            registry.schema(1)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with confluent_server() as server:
        url = server.url
    registry = ConfluentSchemaRegistry(RegistrySettings(url=url), timeout_seconds=2)
    with pytest.raises(RegistryUnavailableError, match="ADX_REGISTRY__URL"):
        registry.subjects()


def test_unusable_settings_are_explained() -> None:
    with pytest.raises(RegistryError, match="ADX_REGISTRY__URL"):
        ConfluentSchemaRegistry(RegistrySettings())
    with pytest.raises(RegistryError, match="together"):
        ConfluentSchemaRegistry(RegistrySettings(url="http://127.0.0.1:1", username="u"))
    with pytest.raises(RegistryError, match="http://") as caught:
        ConfluentSchemaRegistry(RegistrySettings(url="ftp://user:pw@host"))
    assert "pw" not in str(caught.value)


def test_the_settings_choose_the_registry(tmp_path: Path) -> None:
    assert isinstance(open_registry(load_settings(home=tmp_path)), FileSchemaRegistry)
    settings = load_settings(home=tmp_path, registry=RegistrySettings(url="http://127.0.0.1:1"))
    assert isinstance(open_registry(settings), ConfluentSchemaRegistry)
