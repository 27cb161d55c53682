"""Changes to a message that parsers have stumbled over, drawn from a seeded generator.

Belongs here: bytes in, bytes out. Does not belong here: what a message is, or who reads it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

TOKENS: Final[tuple[bytes, ...]] = (
    # Text
    *(b'"', b'""', b",", b"\r", b"\n", b"\r\n", b"\0", b"\\", b"\\u", b"\\ud800", b"\xef\xbb\xbf"),
    *(b"{", b"}", b"[", b"]", b":", b"[" * 70, b'{"a":' * 70, b"null", b"true", b"{}", b"[]"),
    *(b"\xc0\x80", b"\xff\xfe", b"\xed\xa0", b"\xf4\x90\x80\x80", "\u202e".encode(), b"a" * 5000),
    # Numbers
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"0.1", b"00", b"+1", b"1e400"),
    *(b"9223372036854775808", b"-9223372036854775809", b"0x10", b"1_000"),
    # Avro: the longest varints, lengths that nothing follows
    *(b"\xff" * 10, b"\x80" * 9 + b"\x01", b"\xff" * 9 + b"\x01", b"\xfe\xff\xff\xff\x0f"),
    *(b"\x01", b"\x02", b"\x03"),
)
_MOST_CHANGES: Final = 6
_LONGEST: Final = 200_000


def mutated(message: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """``message`` after one to six changes.

    Args:
        message: what to change.
        others: messages to take pieces from.
        rng: decides everything.
    """
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        message = rng.choice(_CHANGES)(message, others, rng)
    return message[:_LONGEST]


def _flip(message: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    if not message:
        return message
    at = rng.randrange(len(message))
    return message[:at] + bytes([message[at] ^ (1 << rng.randrange(8))]) + message[at + 1 :]


def _overwrite(message: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _slice(message, rng)
    return message[:start] + rng.randbytes(end - start) + message[end:]


def _insert(message: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randint(0, len(message))
    return message[:at] + rng.choice(TOKENS) + message[at:]


def _replace(message: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _slice(message, rng)
    return message[:start] + rng.choice(TOKENS) + message[end:]


def _cut(message: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _slice(message, rng)
    return message[:start] + message[end:]


def _truncate(message: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    return message[: rng.randint(0, len(message))]


def _repeat(message: bytes, _others: Sequence[bytes], rng: random.Random) -> bytes:
    start, end = _slice(message, rng)
    return message[:end] + message[start:end] * rng.randint(1, 8) + message[end:]


def _splice(message: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    return message[: rng.randint(0, len(message))] + other[rng.randint(0, len(other)) :]


def _append(message: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    return message + rng.choice((b"", b"\n", b"\0", rng.randbytes(2), rng.choice(others)))


_CHANGES: Final = (
    *(_flip, _flip, _overwrite, _insert, _insert, _replace, _cut, _truncate, _repeat, _splice),
    _append,
)


def _slice(message: bytes, rng: random.Random) -> tuple[int, int]:
    """Mostly short ones: long ones leave nothing of the message."""
    start = rng.randint(0, len(message))
    return start, min(len(message), start + int(rng.expovariate(1 / 8)))
