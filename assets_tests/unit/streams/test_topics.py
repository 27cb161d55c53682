from __future__ import annotations

from adx_platform.streams.topics import topic_identity


def test_a_uuid_is_written_as_kafka_writes_it() -> None:
    # 00 01 02 ... 0f; the halves arrive as signed 64 bit numbers.
    assert topic_identity("t", 0x0001020304050607, 0x08090A0B0C0D0E0F) == "AAECAwQFBgcICQoLDA0ODw"
    assert topic_identity("t", -1, -1) == "_____________________w"


def test_brokers_without_topic_ids_leave_the_name() -> None:
    assert topic_identity("bid_requests", 0, 0) == "name:bid_requests"


def test_an_identity_never_holds_the_separator_of_transaction_ids() -> None:
    assert all("/" not in topic_identity("t", n * 7919**5, -n) for n in range(1, 500))
