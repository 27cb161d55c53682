"""The client of a schema registry server that speaks the Confluent API.

Belongs here: asking the server and saying what is wrong with it. Does not belong here: the protocol
that it fulfils (``registry``).
"""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from adx_platform.codecs.registry import (
    RegistryError,
    RegistryUnavailableError,
    UnknownSchemaIdError,
    canonical,
)
from adx_platform.settings import RegistrySettings

_FORBIDDEN = (401, 403)
_NOT_FOUND = 404
_NO_SUCH_SCHEMA = 40403
"""The registry's own code. A bare 404 comes from a server, or a path of it, that is no registry."""


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
            if error.error_code == _NO_SUCH_SCHEMA:
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
        canonical(schema_json)
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
        if error.http_status_code == _NOT_FOUND and error.error_code // 100 != _NOT_FOUND:
            return RegistryError(
                f"there is no schema registry at {self._address} (HTTP 404 without a registry's "
                "error code): check ADX_REGISTRY__URL"
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
