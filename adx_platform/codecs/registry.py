"""Where Avro writer schemas are looked up and registered.

Belongs here: the protocol that decoders and producers use, and a registry of files for local use.
Does not belong here: the client of a server (``confluent_registry``), reading a schema's content
beyond its being JSON, or judging whether it fits the contract (``contracts.evolution``).

An id that the registry does not know is a property of the message: :class:`UnknownSchemaIdError`
becomes a reject. A registry that does not answer says nothing about the message:
:class:`RegistryUnavailableError` must stop the batch, so that it is tried again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

from adx_platform.errors import AdxError
from adx_platform.settings import Settings

_HIGHEST_ID = 2**31 - 1
_UNKNOWN = "schema id {} is not in the registry"
_UNKNOWN_PATTERN = re.compile(_UNKNOWN.format(r"(\d+)"))


class RegistryError(AdxError):
    """The registry cannot be used as it is configured, or holds something unusable."""


class RegistryUnavailableError(RegistryError):
    """The registry did not answer; asking again later may help."""


class UnknownSchemaIdError(RegistryError):
    """The registry answered that it has no schema of this id."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(_UNKNOWN.format(schema_id))
        self.schema_id = schema_id


def missing_schema_id(reason: str) -> int | None:
    """The id in the stored reason of a reject that :class:`UnknownSchemaIdError` was the cause of.

    Returns:
        None if ``reason`` is another one, or no registry can ever know the id.
    """
    found = _UNKNOWN_PATTERN.fullmatch(reason)
    schema_id = int(found[1]) if found else None
    return schema_id if schema_id is not None and schema_id <= _HIGHEST_ID else None


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
        schema_id = self._free_or_same_id(canonical(schema_json))
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

    def _free_or_same_id(self, text: str) -> int:
        digest = hashlib.sha256(text.encode()).digest()
        schema_id = int.from_bytes(digest[:4], "big") & _HIGHEST_ID
        while True:
            schema_id = schema_id or 1
            try:
                present = canonical(self.schema(schema_id))
            except UnknownSchemaIdError:
                return schema_id
            if present == text:
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


def open_registry(settings: Settings) -> SchemaRegistry:
    """The registry that the settings name: a server where there is a url, else the folder."""
    if settings.registry.url:
        # Its client takes over a second to import, which the folder's users need not wait for.
        from adx_platform.codecs.confluent_registry import (  # noqa: PLC0415 - see above
            ConfluentSchemaRegistry,
        )

        return ConfluentSchemaRegistry(settings.registry)
    return FileSchemaRegistry(settings.registry_dir)


def canonical(schema_json: str) -> str:
    """The schema with its object keys sorted, so that layout does not make another schema."""
    try:
        return json.dumps(json.loads(schema_json), sort_keys=True, separators=(",", ":"))
    except ValueError as error:
        raise RegistryError(f"the schema is not JSON: {error}") from error
