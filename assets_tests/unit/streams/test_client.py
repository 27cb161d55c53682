from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from adx_platform.settings import KafkaSettings
from adx_platform.streams.client import ErrorLog, as_stream_error, client_config, open_client
from adx_platform.streams.errors import (
    AuthenticationFailed,
    BrokerUnreachable,
    StreamError,
    UnknownTopic,
)

PLAIN = KafkaSettings(bootstrap_servers="kafka.example:9092")


def secure(**more: object) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "bootstrap_servers": "kafka.example:9093",
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": "adx",
            "sasl_password": "correct horse",
            "ssl_ca_location": "ca.pem",
            "ssl_certificate_location": "client.pem",
            "ssl_key_location": "client.key",
            "ssl_key_password": "battery staple",
            **more,
        }
    )


def test_a_plain_broker_needs_no_more_than_its_address() -> None:
    options = client_config(PLAIN, ErrorLog())
    assert options["bootstrap.servers"] == "kafka.example:9092"
    assert options["security.protocol"] == "PLAINTEXT"
    assert not [name for name in options if name.startswith(("sasl.", "ssl."))]


def test_tls_and_sasl_settings_arrive_under_librdkafkas_names() -> None:
    options = client_config(secure(), ErrorLog(), client_id="adx-test")
    assert {
        k: v for k, v in options.items() if k.startswith(("sasl.", "ssl.", "sec", "client"))
    } == {
        "security.protocol": "SASL_SSL",
        "client.id": "adx-test",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "adx",
        "sasl.password": "correct horse",
        "ssl.ca.location": str(Path("ca.pem")),
        "ssl.certificate.location": str(Path("client.pem")),
        "ssl.key.location": str(Path("client.key")),
        "ssl.key.password": "battery staple",
    }


def test_options_passed_through_win() -> None:
    settings = PLAIN.model_copy(update={"client_options": {"client.id": "other", "linger.ms": "9"}})
    options = client_config(settings, ErrorLog())
    assert (options["client.id"], options["linger.ms"]) == ("other", "9")


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (KafkaError._ALL_BROKERS_DOWN, BrokerUnreachable, "adx up"),
        (KafkaError._TRANSPORT, BrokerUnreachable, "ADX_KAFKA__BOOTSTRAP_SERVERS"),
        (KafkaError.NOT_LEADER_FOR_PARTITION, BrokerUnreachable, "has no leader at this moment"),
        (KafkaError.LEADER_NOT_AVAILABLE, BrokerUnreachable, "where it lasts, brokers"),
        (KafkaError._AUTHENTICATION, AuthenticationFailed, "ADX_KAFKA__SASL"),
        (KafkaError.SASL_AUTHENTICATION_FAILED, AuthenticationFailed, "refused our credentials"),
        (KafkaError._SSL, AuthenticationFailed, "ADX_KAFKA__SSL"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AuthenticationFailed, "access rights"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, UnknownTopic, "'clicks' does not exist"),
        (KafkaError.MSG_SIZE_TOO_LARGE, StreamError, "could not read"),
    ],
)
def test_an_error_says_what_happened_where_and_what_to_do(
    code: int, kind: type[StreamError], hint: str
) -> None:
    for error in (KafkaError(code), KafkaException(KafkaError(code))):
        made = as_stream_error(error, PLAIN, doing="read", topic="clicks")
        assert type(made) is kind
        assert hint in str(made)
        assert "kafka.example:9092" in str(made)


@pytest.mark.parametrize("kind", [AdminClient, Consumer, Producer])
def test_settings_that_no_client_takes_are_an_error_that_names_them(
    kind: type, tmp_path: Path
) -> None:
    absent = tmp_path / "absent.pem"
    for settings, hint in (
        (PLAIN.model_copy(update={"client_options": {"no.such": "hidden value"}}), "no.such"),
        (KafkaSettings(security_protocol="SSL", ssl_ca_location=absent), "ssl.ca.location"),
    ):
        options = client_config(settings, ErrorLog()) | {"group.id": "g"}
        with pytest.raises(StreamError, match="cannot be used") as caught:
            open_client(kind, options, settings)
        assert hint in str(caught.value)
        assert "ADX_KAFKA__CLIENT_OPTIONS" in str(caught.value)
        assert "hidden value" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), "the topic's `max.message.bytes`"),
        (
            KafkaError(
                KafkaError._BAD_MSG,
                "Invalid response size 10000483: increase receive.message.max.bytes",
            ),
            "trying again does not help",
        ),
    ],
)
def test_a_limit_of_size_is_named_with_its_setting(error: KafkaError, hint: str) -> None:
    made = str(as_stream_error(error, PLAIN, doing="read"))
    assert hint in made
    assert "ADX_KAFKA__CLIENT_OPTIONS" in made


def test_a_refused_connection_over_tls_is_no_question_of_the_protocol() -> None:
    said = "sasl_ssl://127.0.0.1:9093/2: Connect to ipv4#127.0.0.1:9093 failed: Connection refused"
    error = KafkaError(KafkaError._TRANSPORT, said)
    made = str(as_stream_error(error, secure(), doing="list the topics"))
    assert "Is it running?" in made
    assert "Does it speak" not in made
    shake = KafkaError(KafkaError._TRANSPORT, "sasl_ssl://h:1/2: SSL handshake failed: closed")
    assert "Does it speak SASL_SSL?" in str(as_stream_error(shake, secure(), doing="read"))


def test_silence_is_an_unreachable_broker() -> None:
    made = as_stream_error(None, PLAIN, doing="list the topics")
    assert isinstance(made, BrokerUnreachable)
    assert "could not list the topics: no usable answer" in str(made)


def test_no_message_shows_a_secret() -> None:
    settings = secure(
        client_options={"sasl.oauthbearer.client.secret": "pass-through", "acks": "all"}
    )
    text = "bad: correct horse, battery staple, pass-through, all"
    made = str(as_stream_error(KafkaError(KafkaError._FAIL, text), settings, doing="connect"))
    assert "bad: ***, ***, ***, all" in made
    assert "correct horse" not in repr(settings)


def test_the_reason_outlives_the_summary_that_follows_it() -> None:
    log = ErrorLog()
    log(KafkaError(KafkaError._TRANSPORT, "connection refused"))
    log(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert log.cause is not None
    assert log.cause.str() == "connection refused"
    assert not log.is_hopeless
    log(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    log(KafkaError(KafkaError._TRANSPORT, "disconnected"))
    assert log.cause.str() == "wrong password"
    assert log.is_hopeless
    log.clear()
    assert log.cause is None


def test_a_summary_is_better_than_nothing() -> None:
    log = ErrorLog()
    log(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert log.cause is not None
    assert log.cause.code() == KafkaError._ALL_BROKERS_DOWN
    assert not log.is_hopeless
