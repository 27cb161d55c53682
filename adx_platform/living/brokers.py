"""Which broker a local installation uses: the embedded one, or the user's own.

Belongs here: that question, and starting the embedded one where it is the one. Does not belong
here: the embedded broker itself (``streams.embedded``).
"""

from __future__ import annotations

import socket

from adx_platform.living.programs import HOST
from adx_platform.settings import KafkaSettings, Settings
from adx_platform.streams.embedded import (
    EMBEDDED_TOPIC_CONFIG,
    EmbeddedBroker,
    embedded_broker,
)


def local_broker(settings: Settings) -> EmbeddedBroker | None:
    """The embedded broker, or None where the settings name a broker on other machines."""
    host = settings.kafka.bootstrap_servers.rpartition(":")[0]
    plain = settings.kafka.security_protocol == "PLAINTEXT"
    if settings.profile != "local" or not plain or host not in {HOST, "localhost"}:
        return None
    return embedded_broker(settings)


def topic_config(settings: Settings) -> dict[str, str] | None:
    """Options of topics that we create: the embedded broker's own, else the broker's defaults."""
    return None if local_broker(settings) is None else EMBEDDED_TOPIC_CONFIG


def broker_to_run(settings: Settings) -> EmbeddedBroker | None:
    """The embedded broker where it is the one to use, running or not; None: the user's own."""
    broker = local_broker(settings)
    if broker is None or _is_users_own(settings.kafka, broker):
        return None
    return broker


def running_broker(settings: Settings) -> tuple[EmbeddedBroker | None, bool]:
    """Make sure that a broker answers, starting the embedded one where that is the one.

    Returns:
        The embedded broker, or None where the user's own is used; and whether this call has started
        it: then the caller stops it.
    """
    broker = broker_to_run(settings)
    if broker is None or broker.status().running:
        return broker, False
    broker.start()
    return broker, True


def _is_users_own(kafka: KafkaSettings, broker: EmbeddedBroker) -> bool:
    """Whether another broker listens at an address of this machine that the user chose."""
    if "bootstrap_servers" not in kafka.model_fields_set or broker.status().running:
        return False
    host, _, port = kafka.bootstrap_servers.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0
