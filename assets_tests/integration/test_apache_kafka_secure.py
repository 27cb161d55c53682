"""TLS and SASL/SCRAM against a real Apache Kafka, by the settings that a person sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from adx_platform.pipeline.lags import lags
from adx_platform.settings import KafkaSettings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import AuthenticationFailed, BrokerUnreachable, StreamError
from adx_platform.streams.producer import produce
from adx_platform.streams.reader import RangeReader
from assets_tests.integration.kafka_line import TOPIC, KafkaLine, impression, message
from assets_tests.servers.java import JavaRuntime
from assets_tests.servers.kafka import PASSWORD, USER, ApacheKafka, make_certificate

pytestmark = [pytest.mark.java, pytest.mark.slow]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_everything_goes_over_tls_with_scram(
    apache_kafka: ApacheKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mechanism: str
) -> None:
    for name, value in {
        "BOOTSTRAP_SERVERS": apache_kafka.secure_settings().bootstrap_servers,
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_MECHANISM": mechanism,
        "SASL_USERNAME": USER,
        "SASL_PASSWORD": PASSWORD,
        "SSL_CA_LOCATION": str(apache_kafka.certificate),
    }.items():
        monkeypatch.setenv(f"ADX_KAFKA__{name}", value)
    line = KafkaLine(load_settings(home=tmp_path / "home").kafka, tmp_path / "home", partitions=2)
    line.send(message(number, number % 2) for number in range(50))
    line.ingest()
    assert sum(e.accepted for e in line.equations().values()) == 50
    assert sorted(map(str, line.values())) == sorted(str(impression(n)) for n in range(50))
    assert [(lag.landed, lag.behind) for lag in lags(line.platform, TOPIC)] == [(25, 0), (25, 0)]


REFUSED: list[dict[str, object]] = [
    {"sasl_password": "guessed in vain"},
    {"sasl_username": "nobody"},
    {"sasl_mechanism": "PLAIN"},
]


@pytest.mark.parametrize("wrong", REFUSED, ids=["password", "user", "mechanism"])
def test_refused_credentials_are_said_at_once_by_whoever_connects(
    apache_kafka: ApacheKafka, wrong: dict[str, object]
) -> None:
    # Longer than the test may take: nothing of this waits for a time-out.
    settings = apache_kafka.secure_settings(request_timeout_seconds=600, **wrong)
    with (
        pytest.raises(AuthenticationFailed, match="ADX_KAFKA__SASL") as said,
        KafkaAdmin(settings) as admin,
    ):
        admin.topics()
    assert "guessed in vain" not in str(said.value)
    with pytest.raises(AuthenticationFailed), RangeReader(settings, TOPIC, "id") as reader:
        reader.fingerprint_at(0, 0)
    with pytest.raises(AuthenticationFailed):
        produce(settings, TOPIC, [message(1)])


def test_a_broker_whose_certificate_we_do_not_trust_is_refused(
    apache_kafka: ApacheKafka, kafka_runtime: JavaRuntime, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    make_certificate(kafka_runtime, tmp_path / "other.p12", other)
    settings = apache_kafka.secure_settings(request_timeout_seconds=600, ssl_ca_location=other)
    with pytest.raises(AuthenticationFailed, match="ADX_KAFKA__SSL"), KafkaAdmin(settings) as admin:
        admin.topics()


def test_a_certificate_that_cannot_be_read_is_named(
    apache_kafka: ApacheKafka, tmp_path: Path
) -> None:
    settings = apache_kafka.secure_settings(ssl_ca_location=tmp_path / "absent.pem")
    with (
        pytest.raises(StreamError, match=r"ssl\.ca\.location.*ADX_KAFKA__SSL"),
        KafkaAdmin(settings) as admin,
    ):
        admin.topics()


def crossed(kafka: ApacheKafka) -> dict[str, KafkaSettings]:
    plain, secure = kafka.settings().bootstrap_servers, kafka.secure_settings().bootstrap_servers
    return {
        "plain to secure": kafka.settings(bootstrap_servers=secure, request_timeout_seconds=3),
        "secure to plain": kafka.secure_settings(
            bootstrap_servers=plain, request_timeout_seconds=3
        ),
        "tls without sasl": KafkaSettings(
            bootstrap_servers=secure,
            security_protocol="SSL",
            ssl_ca_location=kafka.certificate,
            request_timeout_seconds=3,
        ),
    }


@pytest.mark.parametrize("how", ["plain to secure", "secure to plain", "tls without sasl"])
def test_the_wrong_protocol_is_guessed_and_named(apache_kafka: ApacheKafka, how: str) -> None:
    settings = crossed(apache_kafka)[how]
    said = "Does it speak .* See ADX_KAFKA__SECURITY_PROTOCOL"
    with pytest.raises(BrokerUnreachable, match=said), KafkaAdmin(settings) as admin:
        admin.topics()
