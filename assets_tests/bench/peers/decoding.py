"""Messages to dictionaries, by the libraries that one reaches for: orjson, csv, fastavro.

Belongs here: what the plain loop and dlt have in common. Does not belong here: validation; these
peers have none.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import fastavro
import orjson
from confluent_kafka import Message

from assets_tests.bench.peers.job import REFUSED, Job

Rows = dict[str, list[dict[str, Any]]]
"""Name of a table -> its rows."""

_HEADER_BYTES = 5
_One = Callable[[bytes], tuple[str, dict[str, Any]]]


class Decoder:
    """Decodes batches; ``refused`` counts the messages that could not be decoded."""

    def __init__(self, job: Job) -> None:
        self.refused = 0
        self._one: _One = {
            "json": _json_decoder,
            "csv": _csv_decoder,
            "avro": _avro_decoder,
        }[job.wire](job)

    def write_refused(self, folder: Path) -> None:
        """Leave the count for the bench, which finds it in the job's folder."""
        (folder / REFUSED).write_text(str(self.refused), encoding="ascii")

    def rows(self, messages: Iterable[Message]) -> Rows:
        """The messages' rows by table; whatever raises is counted and left out."""
        tables: Rows = defaultdict(list)
        for message in messages:
            try:
                table, row = self._one(message.value())
            except Exception:  # noqa: BLE001 - a broken message raises anything, and must stop nothing
                self.refused += 1
            else:
                tables[table].append(row)
        return tables


def _json_decoder(job: Job) -> _One:
    def decode(value: bytes) -> tuple[str, dict[str, Any]]:
        row = orjson.loads(value)
        if not isinstance(row, dict):
            raise TypeError("not an object")
        return job.stream, row

    return decode


def _csv_decoder(job: Job) -> _One:
    def decode(value: bytes) -> tuple[str, dict[str, Any]]:
        (fields,) = csv.reader([value.decode()], strict=True)
        return job.stream, dict(zip(job.columns, fields, strict=False))

    return decode


def _avro_decoder(job: Job) -> _One:
    schemas = {
        schema_id: (json.loads(text)["name"], fastavro.parse_schema(json.loads(text)))
        for schema_id, text in job.schemas.items()
    }

    def decode(value: bytes) -> tuple[str, dict[str, Any]]:
        name, schema = schemas[int.from_bytes(value[1:_HEADER_BYTES], "big")]
        return name, fastavro.schemaless_reader(io.BytesIO(value[_HEADER_BYTES:]), schema)

    return decode
