"""`adx doctor`'s questions to real servers: a broker, and an S3 store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adx_platform.contracts.streams import STREAMS
from adx_platform.observability.masking import masker_for
from adx_platform.pipeline.doctor.probing import Diagnosis, Verdict, examine
from adx_platform.pipeline.doctor.servers import server_probes
from adx_platform.settings import KafkaSettings, LakeSettings, Settings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.embedded import EmbeddedBroker
from assets_tests.integration.test_lake_s3 import s3

__all__ = ["s3"]


def told(settings: Settings, part: str) -> dict[str, Diagnosis]:
    probes = [probe for probe in server_probes(settings) if probe.part == part]
    found = examine(probes, timeout_seconds=60, mask=masker_for(settings))
    return {item.part: item for item in found}


@pytest.fixture
def kafka_of_its_own(own_broker: EmbeddedBroker) -> KafkaSettings:
    own_broker.start()
    return KafkaSettings(bootstrap_servers=own_broker.bootstrap_servers)


@pytest.mark.broker
def test_a_broker_and_its_topics(tmp_path: Path, kafka_of_its_own: KafkaSettings) -> None:
    settings = load_settings(home=tmp_path, kafka=kafka_of_its_own)
    found = told(settings, "broker")
    assert found["broker"].verdict == Verdict.OK
    assert found["topics"].verdict == Verdict.FAILED
    assert "adx topics --create" in found["topics"].remedy
    first, *others = STREAMS
    with KafkaAdmin(kafka_of_its_own) as admin:
        admin.create_topics([first])
        assert told(settings, "broker")["topics"].cause == f"not at the broker: {', '.join(others)}"
        admin.create_topics(others)
        assert told(settings, "broker")["topics"].verdict == Verdict.OK
    other = settings.model_copy(
        update={"kafka": kafka_of_its_own.model_copy(update={"partitions_per_topic": 6})}
    )
    differs = told(other, "broker")["topics"]
    assert (differs.verdict, f"{first} has 4" in differs.cause) == (Verdict.WARNING, True)
    wide = settings.model_copy(
        update={"kafka": kafka_of_its_own.model_copy(update={"lanes_per_topic": 8})}
    )
    assert "ADX_KAFKA__LANES_PER_TOPIC" in told(wide, "broker")["topics"].remedy


@pytest.mark.broker
def test_a_broker_without_tls_is_asked_for_it(
    tmp_path: Path, kafka_of_its_own: KafkaSettings
) -> None:
    secured = kafka_of_its_own.model_copy(
        update={
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "adx",
            "sasl_password": SecretStr("hush-hush"),
        }
    )
    found = told(load_settings(home=tmp_path, kafka=secured), "broker")
    assert list(found) == ["broker"]
    assert found["broker"].verdict == Verdict.FAILED
    assert "ADX_KAFKA__S" in found["broker"].remedy
    assert "hush-hush" not in str(found)


@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"uri": "s3://no-such-bucket/adx"}, "the bucket does not exist"),
        ({"s3_access_key_id": "nobody"}, "the access key is not known"),
        ({"s3_secret_access_key": SecretStr("hush-hush")}, "the secret does not belong"),
        ({"s3_endpoint": "http://127.0.0.1:9"}, "ADX_LAKE__S3_ENDPOINT"),
        ({"s3_allow_http": False}, "ADX_LAKE__S3_ALLOW_HTTP"),
    ],
    ids=["right", "bucket", "key", "secret", "endpoint", "http"],
)
def test_what_is_wrong_with_the_store(
    tmp_path: Path,
    s3: LakeSettings,
    changes: dict[str, Any],
    words: str,
) -> None:
    lake = s3.model_copy(update=changes)
    found = told(load_settings(home=tmp_path, lake=lake), "lake")["lake"]
    assert found.verdict == (Verdict.FAILED if changes else Verdict.OK), found
    assert words in f"{found.cause} {found.remedy}"
    assert bool(found.remedy) == bool(changes)
    assert "hush-hush" not in str(found)
