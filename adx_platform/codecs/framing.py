"""People's files to Kafka messages, as ``adx produce`` sends them.

Belongs here: reading NDJSON, CSV and OpenRTB files and framing their records for a topic. Does not
belong here: writing one message (``encoding``, whose functions are offered here too) or sending it.

What is sent of an OpenRTB file depends on the file alone, so that feeding it again sends the same
bytes under the same event ids and the platform sees duplicates: the event id is made of line number
and content, and the time of receipt is the file's modification time unless the caller says another.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NoReturn

from adx_platform.codecs.encoding import (
    FRAME_BYTES,
    MAGIC,
    bid_request_record,
    confluent_frame,
    csv_line,
    encode_avro,
    encode_click_conversion,
    encode_impression,
    frame_openrtb,
)
from adx_platform.codecs.framed_messages import (
    FileProblem,
    FramedMessage,
    UnreadableFileError,
    key_of,
)
from adx_platform.codecs.framing_csv import csv_messages
from adx_platform.codecs.registry import SchemaRegistry
from adx_platform.contracts.avro_schemas import avro_schema, subject_of
from adx_platform.contracts.json_values import JsonValue
from adx_platform.contracts.streams import stream_named

__all__ = [
    "FRAME_BYTES",
    "MAGIC",
    "FileFormat",
    "FileProblem",
    "FramedMessage",
    "UnreadableFileError",
    "bid_request_record",
    "confluent_frame",
    "csv_line",
    "encode_avro",
    "encode_click_conversion",
    "encode_impression",
    "frame_file",
    "frame_openrtb",
]

FileFormat = Literal["ndjson", "csv", "openrtb", "raw"]

_FORMATS_OF_TOPIC: dict[str, tuple[FileFormat, ...]] = {
    "bid_requests": ("openrtb", "raw"),
    "ad_impressions": ("ndjson", "raw"),
    "clicks_conversions": ("csv", "raw"),
}
_EVENT_NAMESPACE = uuid.UUID("6f4f5f0e-94a5-5b0a-8b7c-0f6a2d3b9c11")
"""Under which event ids of fed files are made; it must never change."""


def frame_file(
    topic: str,
    path: Path,
    format: FileFormat,  # noqa: A002 - the command line's word
    *,
    registry: SchemaRegistry | None = None,
    exchange_id: str = "unknown",
    received_at_us: int | None = None,
    on_problem: Callable[[FileProblem], None] | None = None,
) -> Iterator[FramedMessage]:
    """Frame the records of a file as messages of a topic.

    Args:
        topic: one of the three streams.
        path: the file.
        format: ``ndjson``: an impression event per line, sent as it is. ``csv``: clicks and
            conversions under a header row whose columns may be in any order. ``openrtb``: bid
            requests, one per line, or one JSON document with a request or an array of them.
            ``raw``: each line's bytes, whatever they are, so that broken messages can be sent.
        registry: where the BidRequest schema is registered; needed for ``openrtb``.
        exchange_id: exchange to name in the envelope of OpenRTB requests.
        received_at_us: microseconds since the epoch to put into OpenRTB requests; absent: the
            file's modification time. It is also their Kafka timestamp.
        on_problem: told of each line that is not well-formed, which is then left out. Absent: the
            first one raises.

    Yields:
        Messages in the file's order. Empty lines are passed over.

    Raises:
        ValueError: the topic has no such format, or a CSV header does not fit the contract.
        UnreadableFileError: a line is not well-formed and ``on_problem`` is absent.
    """
    stream_named(topic)
    if format not in _FORMATS_OF_TOPIC[topic]:
        allowed = " or ".join(_FORMATS_OF_TOPIC[topic])
        raise ValueError(f"topic {topic!r} takes files of format {allowed}, not {format!r}")
    report = on_problem if on_problem is not None else _raise_problem(path)
    if format == "raw":
        return _raw(path)
    if format == "ndjson":
        return _impressions(path, report)
    if format == "csv":
        return csv_messages(path, report)
    if registry is None:
        raise ValueError("OpenRTB files need a schema registry to register BidRequest in")
    schema_id = registry.register(subject_of("BidRequest"), avro_schema("BidRequest"))
    if received_at_us is None:
        received_at_us = path.stat().st_mtime_ns // 1000
    return _bid_requests(path, report, schema_id, exchange_id, received_at_us)


def _raise_problem(path: Path) -> Callable[[FileProblem], None]:
    def report(problem: FileProblem) -> None:
        raise UnreadableFileError(f"{path}, line {problem.line}: {problem.reason}")

    return report


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            content = line.removesuffix(b"\n").removesuffix(b"\r")
            if content:
                yield number, content


def _raw(path: Path) -> Iterator[FramedMessage]:
    for _, line in _lines(path):
        yield FramedMessage(None, line, [], None)


def _impressions(path: Path, report: Callable[[FileProblem], None]) -> Iterator[FramedMessage]:
    for number, line in _lines(path):
        event = _json_object(number, line, report)
        if event is not None:
            yield FramedMessage(key_of(event.get("impression_id")), line, [], None)


def _bid_requests(
    path: Path,
    report: Callable[[FileProblem], None],
    schema_id: int,
    exchange_id: str,
    received_at_us: int,
) -> Iterator[FramedMessage]:
    for number, line in _documents(path):
        openrtb = _json_object(number, line, report)
        if openrtb is None:
            continue
        flaw = _flaw_of_request(openrtb)
        if flaw is not None:
            report(FileProblem(number, flaw))
            continue
        digest = hashlib.sha256(line).hexdigest()
        value = frame_openrtb(
            openrtb,
            exchange_id=exchange_id,
            event_id=str(uuid.uuid5(_EVENT_NAMESPACE, f"{number}:{digest}")),
            received_at_us=received_at_us,
            schema_id=schema_id,
        )
        yield FramedMessage(key_of(openrtb["id"]), value, [], received_at_us // 1000)


def _documents(path: Path) -> Iterator[tuple[int, bytes]]:
    """The JSON documents of a file: its lines, or the elements of the one document it is."""
    if path.suffix.lower() == ".json":
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            # Not one document: lines of JSON under this suffix are common.
            yield from _lines(path)
            return
        elements = document if isinstance(document, list) else [document]
        for number, element in enumerate(elements, start=1):
            yield number, json.dumps(element, separators=(",", ":")).encode()
        return
    yield from _lines(path)


def _flaw_of_request(openrtb: dict[str, Any]) -> str | None:
    """Why an object is no bid request, or None if it is one."""
    identity = openrtb.get("id")
    if not isinstance(identity, str) or not identity:
        return "a bid request needs an id that is text"
    imps = openrtb.get("imp")
    if not isinstance(imps, list) or not imps:
        return "a bid request needs a list imp with at least one impression"
    for position, imp in enumerate(imps):
        if not isinstance(imp, dict) or not isinstance(imp.get("id"), str) or not imp["id"]:
            return f"imp[{position}] needs an id that is text"
    return None


def _json_object(
    number: int, line: bytes, report: Callable[[FileProblem], None]
) -> dict[str, Any] | None:
    try:
        document = json.loads(
            line,
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_unique_keys,
        )
    except RecursionError:
        report(FileProblem(number, "the JSON is nested too deeply"))
        return None
    except ValueError as error:
        report(FileProblem(number, f"not JSON: {error}"))
        return None
    if not isinstance(document, dict):
        report(FileProblem(number, "not a JSON object"))
        return None
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large for a double")
    return number


def _unique_keys(pairs: Iterable[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError("an object has the same key twice")
        result[key] = value
    return result
