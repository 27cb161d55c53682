"""The fingerprint of a landed record: how a replaced or rewound topic is noticed.

Offsets alone do not tell: after a reset that was followed by new messages, the broker's end had
passed the committed offset on 12 of 12 partitions and other data was read silently. The record
just before the committed offset, by its timestamp and bytes, told on 12 of 12.

Belongs here: the hash. Does not belong here: fetching the record (``reader``) or comparing it with
what the lake holds (``pipeline``).
"""

from __future__ import annotations

import xxhash


def fingerprint(kafka_timestamp_ms: int | None, value: bytes | None) -> str:
    """Hash a record's Kafka timestamp (milliseconds) and value.

    A record without a timestamp and a tombstone (null value) have fingerprints of their own, each
    different from that of an empty value.

    Returns:
        32 hexadecimal digits (xxh3, 128 bit).
    """
    head = f"{'' if kafka_timestamp_ms is None else kafka_timestamp_ms}|{value is not None:d}|"
    return xxhash.xxh3_128_hexdigest(head.encode() + (value or b""))
