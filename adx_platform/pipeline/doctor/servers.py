"""Probes of what the platform talks to: broker, topics, schema registry, lake.

Belongs here: one question to each, with a short patience. Does not belong here: the translation of
their errors, which each floor does for itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from adx_platform.codecs.registry import RegistryError, open_registry
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.access import require_writable
from adx_platform.lake.errors import LakeUnavailable
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.doctor.probing import Diagnosis, Probe, failed, ok, warning
from adx_platform.settings import Settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import (
    AuthenticationFailed,
    BrokerUnreachable,
    StreamError,
    UnknownTopic,
)


def server_probes(settings: Settings, *, patience_seconds: float = 5.0) -> list[Probe]:
    """Broker and topics, schema registry, lake."""
    return [
        Probe("broker", lambda: _broker(settings, patience_seconds)),
        Probe("schema registry", lambda: _registry(settings)),
        Probe("lake", lambda: _lake(settings)),
    ]


def _broker(settings: Settings, patience_seconds: float) -> Iterator[Diagnosis]:
    patience = min(patience_seconds, settings.kafka.request_timeout_seconds)
    kafka = settings.kafka.model_copy(update={"request_timeout_seconds": patience})
    where = f"{kafka.bootstrap_servers} ({kafka.security_protocol})"
    with KafkaAdmin(kafka) as admin:
        try:
            there = admin.topics()
        except AuthenticationFailed as error:
            yield failed(
                "broker",
                _without_advice(error),
                "check ADX_KAFKA__SASL_..., ADX_KAFKA__SSL_... and the user's rights",
            )
            return
        except BrokerUnreachable as error:
            yield failed(
                "broker",
                _without_advice(error),
                "start it (`adx up` starts the embedded one), or correct "
                "ADX_KAFKA__BOOTSTRAP_SERVERS and ADX_KAFKA__SECURITY_PROTOCOL",
            )
            return
        except StreamError as error:
            yield failed("broker", str(error), "check the ADX_KAFKA__... variables")
            return
        yield ok("broker", f"{where} answers; topics: {len(there)}")
        yield from _topics(settings, admin, there)


def _topics(settings: Settings, admin: KafkaAdmin, there: tuple[str, ...]) -> Iterator[Diagnosis]:
    missing = [stream.topic for stream in STREAMS.values() if stream.topic not in there]
    if missing:
        yield failed(
            "topics",
            f"not at the broker: {', '.join(missing)}",
            "`adx topics --create` makes them; or correct ADX_KAFKA__BOOTSTRAP_SERVERS",
        )
    expected = settings.kafka.partitions_per_topic
    lanes = settings.kafka.lanes_per_topic
    counts = {}
    for stream in STREAMS.values():
        if stream.topic in there:
            try:
                counts[stream.topic] = len(admin.describe(stream.topic).partitions)
            except UnknownTopic:
                # Deleted between the two questions.
                continue
    other = {topic: count for topic, count in counts.items() if count != expected}
    idle = {topic: count for topic, count in counts.items() if count < lanes}
    if idle:
        yield warning(
            "topics",
            f"fewer partitions than the {lanes} lanes: {_counted(idle)}",
            "set ADX_KAFKA__LANES_PER_TOPIC to at most the partitions: the other lanes are idle",
        )
    elif other:
        yield warning(
            "topics",
            f"partitions differ from ADX_KAFKA__PARTITIONS_PER_TOPIC={expected}: {_counted(other)}",
            "all of them are read; set the variable to what is there, for topics made later",
        )
    elif not missing:
        yield ok("topics", f"{len(counts)} topics, {expected} partitions each")


def _without_advice(error: StreamError) -> str:
    """What happened: "could not ...: ... (what librdkafka said)"; the advice has its own column."""
    happened, bracket, _ = str(error).partition("). ")
    return f"{happened})" if bracket else happened


def _counted(topics: dict[str, int]) -> str:
    return ", ".join(f"{topic} has {count}" for topic, count in topics.items())


def _registry(settings: Settings) -> Iterator[Diagnosis]:
    part = "schema registry"
    where = "the server" if settings.registry.url else str(settings.registry_dir)
    try:
        subjects = open_registry(settings).subjects()
    except RegistryError as error:
        yield failed(
            part, str(error), "check ADX_REGISTRY__URL and its credentials; is the server up?"
        )
    except OSError as error:
        yield failed(
            part, f"{where} cannot be read: {error}", "give this user the right to read it"
        )
    else:
        yield ok(part, f"{where} answers; subjects: {len(subjects)}")


def _lake(settings: Settings) -> Iterator[Diagnosis]:
    try:
        storage = LakeStorage.from_settings(settings)
    except ValueError as error:
        yield failed("lake", str(error), "correct ADX_LAKE__URI")
        return
    try:
        require_writable(storage)
    except LakeUnavailable as error:
        # The storage layer says "<doing> in the lake <uri> failed: <cause>: <what to do>".
        advice = str(error).partition(" failed: ")[2]
        cause, _, remedy = advice.partition(": ")
        yield failed(
            "lake",
            f"{storage.uri}: {cause}" if remedy else str(error),
            remedy or "check ADX_LAKE__URI and the ADX_LAKE__S3_... variables",
        )
    else:
        yield ok("lake", f"{storage.uri} can be written")
