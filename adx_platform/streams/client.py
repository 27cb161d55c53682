"""How a librdkafka client is configured and how its errors are told to a person.

Belongs here: the options shared by admin, reader and producer, and the translation of error codes
into this package's exceptions. Does not belong here: any request to a broker. No message made here
holds a secret: values of secret settings are masked even where librdkafka would echo them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from adx_platform.settings import KafkaSettings
from adx_platform.streams.errors import (
    AuthenticationFailed,
    BrokerUnreachable,
    StreamError,
    UnknownTopic,
)

logger = logging.getLogger(__name__)

# A broker that ignores fetch limits (the embedded one does) answers a large backlog in one
# response; with the default bound librdkafka drops the connection, silently and for ever.
LARGEST_RESPONSE = 2_147_483_647

_T = TypeVar("_T")
_AUTHENTICATION_CODES = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - the client's own names for its local errors
        KafkaError._SSL,  # noqa: SLF001 - the library's name
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
    }
)
_FORBIDDEN_CODES = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_UNKNOWN_TOPIC_CODES = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - the library's name
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - the library's name
    }
)
# A topic just made, or a leader that just died: the broker that was asked does not lead (any more).
_NO_LEADER_CODES = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
    }
)
_UNREACHABLE_CODES = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - the library's name
        KafkaError._TRANSPORT,  # noqa: SLF001 - the library's name
        KafkaError._RESOLVE,  # noqa: SLF001 - the library's name
        KafkaError._TIMED_OUT,  # noqa: SLF001 - the library's name
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001 - the library's name
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001 - the library's name
    }
)
_ADDRESS = re.compile(r"\w+://\S+")
# librdkafka says it in words only; its code is that of any response that cannot be read.
_RECEIVE_LIMIT = "receive.message.max.bytes"
_PLAIN_OPTIONS = frozenset({"bootstrap.servers", "security.protocol", "sasl.mechanism"})


class ErrorLog:
    """Remembers what librdkafka reports on the side while a request is waiting.

    Many causes (refused connections, refused credentials, a dropped response) show up only here;
    the request itself merely times out.
    """

    def __init__(self) -> None:
        self._last: KafkaError | None = None
        self._authentication: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Librdkafka's ``error_cb``."""
        if error.code() in _AUTHENTICATION_CODES:
            self._authentication = error
        # "All brokers are down" follows the message that says why: keep the reason.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or self._last is None:  # noqa: SLF001 - the library's name
            self._last = error

    @property
    def cause(self) -> KafkaError | None:
        """The most telling error so far: one of authentication, else the last."""
        return self._authentication or self._last

    @property
    def is_hopeless(self) -> bool:
        """Waiting longer cannot help: the credentials were refused."""
        return self._authentication is not None

    def clear(self) -> None:
        """Forget everything: a new request starts."""
        self._last = None
        self._authentication = None


def client_config(
    settings: KafkaSettings, errors: ErrorLog, *, client_id: str = "adx"
) -> dict[str, Any]:
    """Options that every client of this platform shares; ``settings.client_options`` win.

    Args:
        settings: where the broker is and how to prove who we are.
        errors: receives what librdkafka reports on the side.
        client_id: the name that brokers show in their own logs and quotas.
    """
    options: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "client.id": client_id,
        "error_cb": errors,
        "logger": logging.getLogger(f"{__name__}.librdkafka"),
        # The default prints connection changes that the error callback reports anyway.
        "log_level": 2,
    }
    optional = {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password,
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": settings.ssl_key_password,
    }
    for name, value in optional.items():
        if value is not None:
            revealed = value.get_secret_value() if hasattr(value, "get_secret_value") else value
            options[name] = str(revealed)
    return options | settings.client_options


def open_client(
    make: Callable[[dict[str, Any]], _T], options: dict[str, Any], settings: KafkaSettings
) -> _T:
    """Make a client of ``options``; nothing connects yet.

    Args:
        make: one of librdkafka's client classes.
        options: what :func:`client_config` gave, and the client's own.
        settings: its secrets are masked in the message.

    Raises:
        StreamError: an option is refused, or a file that one names cannot be read.
    """
    try:
        return make(options)
    except KafkaException as error:
        said = _without_secrets(error.args[0].str(), settings)
        raise StreamError(
            f"the settings for the broker at {settings.bootstrap_servers} cannot be used: {said}. "
            "Check ADX_KAFKA__SSL_..., ADX_KAFKA__SASL_... and ADX_KAFKA__CLIENT_OPTIONS"
        ) from error


def as_stream_error(
    error: KafkaError | KafkaException | None,
    settings: KafkaSettings,
    *,
    doing: str,
    topic: str | None = None,
) -> StreamError:
    """Turn librdkafka's ``error`` into an exception that says what happened and what to do.

    Args:
        error: what librdkafka said; None where it said nothing but did not answer either.
        settings: names the broker; its secrets are masked in the message.
        doing: what was tried, as in "could not <doing>".
        topic: the topic concerned, for errors about topics.
    """
    kafka_error = error.args[0] if isinstance(error, KafkaException) else error
    if not isinstance(kafka_error, KafkaError):
        said = "no answer" if kafka_error is None else str(kafka_error)
        code = KafkaError._TIMED_OUT if kafka_error is None else None  # noqa: SLF001 - the library's name
    else:
        said = kafka_error.str() or kafka_error.name()
        code = kafka_error.code()
    said = _without_secrets(said, settings)
    where = settings.bootstrap_servers
    if code in _AUTHENTICATION_CODES:
        return AuthenticationFailed(
            f"could not {doing}: the broker at {where} refused our credentials or certificate "
            f"({said}). Check ADX_KAFKA__SECURITY_PROTOCOL, ADX_KAFKA__SASL_... and "
            "ADX_KAFKA__SSL_..."
        )
    if code in _FORBIDDEN_CODES:
        return AuthenticationFailed(
            f"could not {doing}: the broker at {where} does not allow it to this user ({said}). "
            "Ask for the access rights, or check ADX_KAFKA__SASL_USERNAME"
        )
    if code in _UNKNOWN_TOPIC_CODES:
        return UnknownTopic(
            f"could not {doing}: topic {topic!r} does not exist at {where} ({said}). Create it "
            "with `adx topics --create`, or check its name and ADX_KAFKA__BOOTSTRAP_SERVERS"
        )
    if code in _NO_LEADER_CODES:
        return BrokerUnreachable(
            f"could not {doing}: a partition has no leader at this moment ({said} at {where}). Try "
            "again; where it lasts, brokers of the cluster are down"
        )
    if code in _UNREACHABLE_CODES:
        return BrokerUnreachable(
            f"could not {doing}: no usable answer from the broker at {where} ({said}). "
            f"{_advice_about_connecting(code, said, settings)}"
        )
    return StreamError(f"could not {doing} at {where}: {said}{_advice_about_size(code, said)}")


def _advice_about_connecting(code: int | None, said: str, settings: KafkaSettings) -> str:
    protocol = (
        f"Does it speak {settings.security_protocol}? See ADX_KAFKA__SECURITY_PROTOCOL; a plain "
        "broker is PLAINTEXT"
    )
    running = (
        "Is it running? `adx up` starts the embedded one; ADX_KAFKA__BOOTSTRAP_SERVERS names "
        "another"
    )
    # librdkafka names a failed hand-shake in several ways, or just says that it was closed. The
    # address that it puts before that is no sign of it: `sasl_ssl://...`.
    reason = _ADDRESS.sub("", said)
    if "SSL" in reason or "sasl" in reason.lower():
        return protocol
    # A broker that hangs up without a word, for want of TLS or SASL, leaves no reason.
    is_mute = code == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - the library's name
    return f"{running}. {protocol}" if is_mute else running


def _advice_about_size(code: int | None, said: str) -> str:
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return (
            ". The smallest of three limits counts: `message.max.bytes` in "
            "ADX_KAFKA__CLIENT_OPTIONS, the topic's `max.message.bytes`, and the broker's "
            "`message.max.bytes`"
        )
    if _RECEIVE_LIMIT in said:
        return (
            ". A message is larger than this client may receive, and trying again does not help: "
            f"raise `{_RECEIVE_LIMIT}` in ADX_KAFKA__CLIENT_OPTIONS, or leave it out"
        )
    return ""


def _without_secrets(text: str, settings: KafkaSettings) -> str:
    secrets = [
        secret.get_secret_value()
        for secret in (settings.sasl_password, settings.ssl_key_password)
        if secret is not None
    ]
    # Options passed through may be secrets under names that we do not know.
    secrets += [v for k, v in settings.client_options.items() if k not in _PLAIN_OPTIONS]
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:  # noqa: PLR2004 - shorter values ("all", "1") would garble the text
            text = text.replace(secret, "***")
    return text
