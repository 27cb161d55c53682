"""What a hostile message claims to hold is not what decoding it takes."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: what this one needed before would hide it.
SCRIPT = """
import resource

import polars as pl

from adx_platform.codecs.csv_lines import decode_csv
from adx_platform.codecs.json_messages import decode_json
from assets_tests.unit.codecs.avro_messages import HEAD, NULLS, Registry, confluent_frame, decoded
from assets_tests.unit.codecs.avro_messages import text, zigzag
from assets_tests.unit.codecs.test_avro import GOOD, LISTS


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def binary(*values):
    return pl.Series(values, dtype=pl.Binary)


decoded(GOOD)
decode_json(binary(b"{}"))
decode_csv(binary(b"a,b"), None)
before = peak()
counts = [2**31, -(2**31), 2**40, 2**62, -(2**63)]
lists = [HEAD + NULLS + zigzag(count) + zigzag(9) * 3 for count in counts]
maps = [HEAD + NULLS + zigzag(0) + zigzag(count) + zigzag(9) * 3 for count in counts]
hostile = [confluent_frame(1) + message[5:] for message in lists + maps]
assert decoded(hostile, Registry(LISTS)).rejects.height == len(hostile)
lengths = [confluent_frame(2) + zigzag(length) + b"e" for length in counts]
assert decoded(lengths).rejects.height == len(lengths)
deep = [b"[" * 1_000_000, b'{"a":' * 200_000, b'{"ts":' + b"9" * 1_000_000 + b"}"]
assert decode_json(binary(*deep)).rejects.height == len(deep)
lines = [b'"' * 1_000_001, b"," * 1_000_000, b'"' + b'""' * 500_000]
assert decode_csv(binary(*lines), None).rejects.height == len(lines)
print(peak() - before)
"""


def test_decoding_what_claims_gigabytes_takes_megabytes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 256
