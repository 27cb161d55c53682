"""Where Avro writer schemas are looked up and registered.

Belongs here: the protocol that decoders and producers use, a registry of files for local use, and
the client of a Confluent-compatible server. Does not belong here: reading a schema's content beyond
its being JSON, or judging whether it fits the contract (``contracts.evolution``).

An id that the registry does not know is a property of the message: :class:`UnknownSchemaIdError`
becomes a reject. A registry that does not answer says nothing about the message:
:class:`RegistryUnavailableError` must stop the batch, so that it is tried again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from adx_platform.settings import RegistrySettings, Settings

_HIGHEST_ID = 2**31 - 1
_FORBIDDEN = (401, 403)
_NOT_FOUND = 404


class RegistryError(Exception):
    """The registry cannot be used as it is configured, or holds something unusable."""


class RegistryUnavailableError(RegistryError):
    """The registry did not answer; asking again later may help."""


class UnknownSchemaIdError(RegistryError):
    """The registry answered that it has no schema of this id."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(f"schema id {schema_id} is not in the registry")
        self.schema_id = schema_id


class SchemaRegistry(Protocol):
    """What the platform needs of a schema registry."""

    def schema(self, schema_id: int) -> str:
        """The schema's JSON text.

        Raises:
            UnknownSchemaIdError: there is no schema of this id.
            RegistryError: the registry cannot be asked.
        """

    def register(self, subject: str, schema_json: str) -> int:
        """Register a schema under a subject; the same schema gives the same id.

        Raises:
            RegistryError: the registry refused it or cannot be asked.
        """

    def subjects(self) -> list[str]:
        """Names of all subjects, sorted."""


class FileSchemaRegistry:
    """A registry in a folder: ``schemas/<id>.avsc`` and ``subjects/<subject>/<id>``.

    The id is taken from the SHA-256 of the schema, so that it does not depend on the order of
    registration, and two processes that register the same schema at once write the same file with
    the same content. Files appear by rename, whole or not at all.
    """

    def __init__(self, directory: Path) -> None:
        self._schemas = directory / "schemas"
        self._subjects = directory / "subjects"
        self._cache: dict[int, str] = {}

    def schema(self, schema_id: int) -> str:
        """See :class:`SchemaRegistry`. An unknown id is looked for again at the next call."""
        cached = self._cache.get(schema_id)
        if cached is not None:
            return cached
        try:
            text = self._path(schema_id).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UnknownSchemaIdError(schema_id) from None
        self._cache[schema_id] = text
        return text

    def register(self, subject: str, schema_json: str) -> int:
        """See :class:`SchemaRegistry`."""
        if not subject:
            raise RegistryError("a subject needs a name")
        canonical = _canonical(schema_json)
        schema_id = self._free_or_same_id(canonical)
        self._write(self._path(schema_id), schema_json)
        self._write(self._subjects / quote(subject, safe="") / str(schema_id), "")
        return schema_id

    def subjects(self) -> list[str]:
        """See :class:`SchemaRegistry`."""
        if not self._subjects.is_dir():
            return []
        return sorted(unquote(path.name) for path in self._subjects.iterdir() if path.is_dir())

    def _path(self, schema_id: int) -> Path:
        return self._schemas / f"{schema_id}.avsc"

    def _free_or_same_id(self, canonical: str) -> int:
        digest = hashlib.sha256(canonical.encode()).digest()
        schema_id = int.from_bytes(digest[:4], "big") & _HIGHEST_ID
        while True:
            schema_id = schema_id or 1
            try:
                present = _canonical(self.schema(schema_id))
            except UnknownSchemaIdError:
                return schema_id
            if present == canonical:
                return schema_id
            schema_id = (schema_id + 1) & _HIGHEST_ID

    @staticmethod
    def _write(path: Path, text: str) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


class ConfluentSchemaRegistry:
    """A server that speaks the Confluent schema registry API, with basic authentication."""

    def __init__(self, settings: RegistrySettings, *, timeout_seconds: float = 10.0) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            RegistryError: the settings name no usable server.
        """
        if not settings.url:
            raise RegistryError("set ADX_REGISTRY__URL to the schema registry's address")
        if (settings.username is None) != (settings.password is None):
            raise RegistryError("set ADX_REGISTRY__USERNAME and ADX_REGISTRY__PASSWORD together")
        # The address as it may be shown: without credentials that someone put into it.
        self._address = urlsplit(settings.url)._replace(query="").geturl().rpartition("@")[2]
        config: dict[str, object] = {
            "url": settings.url,
            "timeout": timeout_seconds,
            "max.retries": 2,
            "retries.wait.ms": 200,
            "retries.max.wait.ms": 1000,
        }
        if settings.username is not None and settings.password is not None:
            password = settings.password.get_secret_value()
            config["basic.auth.user.info"] = f"{settings.username}:{password}"
        try:
            self._client = SchemaRegistryClient(config)
        except ValueError as error:
            # The client's own text may quote the address with its credentials.
            raise RegistryError(
                f"the schema registry settings are not usable (address {self._address!r}): "
                "the address must start with http:// or https:// and credentials belong in "
                "ADX_REGISTRY__USERNAME and ADX_REGISTRY__PASSWORD"
            ) from error
        self._cache: dict[int, str] = {}

    def schema(self, schema_id: int) -> str:
        """See :class:`SchemaRegistry`."""
        cached = self._cache.get(schema_id)
        if cached is not None:
            return cached
        try:
            text = self._client.get_schema(schema_id).schema_str
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise UnknownSchemaIdError(schema_id) from None
            raise self._refused(error) from error
        except (httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
            raise self._unavailable(error) from error
        if not text:
            raise RegistryError(
                f"the schema registry at {self._address} gave no text for id {schema_id}"
            )
        self._cache[schema_id] = text
        return text

    def register(self, subject: str, schema_json: str) -> int:
        """See :class:`SchemaRegistry`."""
        _canonical(schema_json)
        try:
            schema_id = self._client.register_schema(subject, Schema(schema_json, "AVRO"))
        except SchemaRegistryError as error:
            raise self._refused(error) from error
        except (httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
            raise self._unavailable(error) from error
        if not isinstance(schema_id, int):
            raise RegistryError(f"the schema registry at {self._address} gave no id for {subject}")
        return schema_id

    def subjects(self) -> list[str]:
        """See :class:`SchemaRegistry`."""
        try:
            return sorted(self._client.get_subjects())
        except SchemaRegistryError as error:
            raise self._refused(error) from error
        except (httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
            raise self._unavailable(error) from error

    def _refused(self, error: SchemaRegistryError) -> RegistryError:
        if error.http_status_code in _FORBIDDEN:
            return RegistryError(
                f"the schema registry at {self._address} refused the credentials "
                f"(HTTP {error.http_status_code}): check ADX_REGISTRY__USERNAME and "
                "ADX_REGISTRY__PASSWORD"
            )
        text = (
            f"the schema registry at {self._address} answered HTTP {error.http_status_code}: "
            f"{error.error_message}"
        )
        # 4xx is about the question and will not change; everything else may pass.
        if 400 <= error.http_status_code < 500 and error.http_status_code not in (408, 429):  # noqa: PLR2004 - HTTP status codes
            return RegistryError(text)
        return RegistryUnavailableError(text)

    def _unavailable(self, error: Exception) -> RegistryUnavailableError:
        return RegistryUnavailableError(
            f"the schema registry at {self._address} cannot be asked "
            f"({type(error).__name__}): check ADX_REGISTRY__URL and that the server is up"
        )


def open_registry(settings: Settings) -> SchemaRegistry:
    """The registry that the settings name: a server where there is a url, else the folder."""
    if settings.registry.url:
        return ConfluentSchemaRegistry(settings.registry)
    return FileSchemaRegistry(settings.registry_dir)


def _canonical(schema_json: str) -> str:
    """The schema with its object keys sorted, so that layout does not make another schema."""
    try:
        return json.dumps(json.loads(schema_json), sort_keys=True, separators=(",", ":"))
    except ValueError as error:
        raise RegistryError(f"the schema is not JSON: {error}") from error
