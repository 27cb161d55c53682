"""Commands about topics: what is there, how far behind we are, and feeding files in.

Belongs here: `adx topics`, `adx lag`, `adx produce`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.inputs import known_streams, opened_platform, streams_at_broker
from adx_platform.cli.output import print_json, progress_bar, stderr, stdout, table
from adx_platform.codecs.framing import (
    FileFormat,
    FileProblem,
    FramedMessage,
    frame_file,
)
from adx_platform.codecs.registry import open_registry
from adx_platform.contracts.streams import STREAMS
from adx_platform.living.brokers import topic_config
from adx_platform.pipeline.lags import lags
from adx_platform.settings import current_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.producer import OutgoingMessage, produce

_SHOWN_PROBLEMS = 20
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command("topics")(show_topics)
    app.command("lag")(show_lag)
    app.command("produce")(produce_file)


def show_topics(
    *,
    create: Annotated[
        bool, typer.Option("--create", help="First create the streams' topics that are missing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the broker's topics: identity, partitions, and how far each reaches."""
    settings = current_settings()
    rows = []
    with KafkaAdmin(settings.kafka) as admin:
        if create:
            admin.create_topics(STREAMS, config=topic_config(settings))
        for name in admin.topics():
            description = admin.describe(name)
            marks = admin.watermarks(name)
            rows.append(
                {
                    "topic": name,
                    "is_stream": name in STREAMS,
                    "topic_id": description.topic_id,
                    "partitions": len(description.partitions),
                    "messages_at_broker": sum(m.last_stable - m.low for m in marks.values()),
                    "watermarks": {
                        str(p): {"low": m.low, "last_stable": m.last_stable}
                        for p, m in sorted(marks.items())
                    },
                }
            )
    if as_json:
        print_json(rows)
        return
    if not rows:
        stderr.print("The broker has no topics; `adx topics --create` makes those of the streams.")
        return
    names = ("topic", "is_stream", "topic_id", "partitions", "messages_at_broker")
    heads = ("topic", "stream of ours", "topic id", "partitions", "offsets at broker")
    body = [[row[name] for name in names] for row in rows]
    stdout.print(table(f"Topics at {settings.kafka.bootstrap_servers}", heads, body))


def show_lag(*, as_json: JsonOption = False) -> None:
    """Show, per partition, what the broker has and what is landed and refined of it."""
    platform = opened_platform()
    rows = [lag for name in streams_at_broker(platform, None) for lag in lags(platform, name)]
    if as_json:
        print_json(
            [
                {
                    "stream": lag.stream,
                    "lane": lag.lane,
                    "partition": lag.partition,
                    "topic_id": lag.topic_id,
                    "low": lag.low,
                    "last_stable": lag.last_stable,
                    "landed": lag.landed,
                    "refined": lag.refined,
                    "behind": lag.behind,
                }
                for lag in rows
            ]
        )
        return
    heads = ("stream", "lane", "partition", "low", "last stable", "landed", "refined", "behind")
    body = [
        [r.stream, r.lane, r.partition, r.low, r.last_stable, r.landed, r.refined, r.behind]
        for r in rows
    ]
    stdout.print(table("Lag", heads, body))
    stdout.print(f"behind in all: {sum(lag.behind for lag in rows):,} offsets")


class Format(StrEnum):
    """How `adx produce` reads the file."""

    AUTO = "auto"
    NDJSON = "ndjson"
    CSV = "csv"
    OPENRTB = "openrtb"
    RAW = "raw"


_FORMATS: dict[Format, FileFormat] = {
    Format.NDJSON: "ndjson",
    Format.CSV: "csv",
    Format.OPENRTB: "openrtb",
    Format.RAW: "raw",
}
_FORMAT_OF_TOPIC: dict[str, FileFormat] = {
    "bid_requests": "openrtb",
    "ad_impressions": "ndjson",
    "clicks_conversions": "csv",
}


def produce_file(
    topic: Annotated[str, typer.Option(help="The stream to feed.")],
    file: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, readable=True, help="The file to send.")
    ],
    format: Annotated[  # noqa: A002 - the option's name on the command line
        Format,
        typer.Option(
            help="auto: by topic (NDJSON impressions, CSV with a header row, OpenRTB JSON or "
            "NDJSON); raw: each line's bytes as they are."
        ),
    ] = Format.AUTO,
    exchange: Annotated[
        str, typer.Option(help="Exchange to name in the envelope of OpenRTB requests.")
    ] = "unknown",
    received_at: Annotated[
        datetime | None,
        typer.Option(
            help="When OpenRTB requests were received, UTC. Default: the file's modification "
            "time, so that feeding it again gives duplicates."
        ),
    ] = None,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if any record could not be framed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Frame a file's records as the topic's messages and send them.

    Records that cannot be framed are listed with their line number and are not sent; the others
    go on. The exit code is 1 if nothing could be sent, and with --strict if anything could not.
    """
    known_streams([topic])
    settings = current_settings()
    problems: list[FileProblem] = []
    try:
        framed = frame_file(
            topic,
            file,
            format=_FORMATS.get(format, _FORMAT_OF_TOPIC[topic]),
            registry=open_registry(settings),
            exchange_id=exchange,
            received_at_us=None if received_at is None else _microseconds(received_at),
            on_problem=problems.append,
        )
    except ValueError as error:
        # The topic does not take files of this format.
        raise WrongUsage(str(error)) from error
    with KafkaAdmin(settings.kafka) as admin:
        admin.create_topics([topic], config=topic_config(settings))
    with progress_bar(f"sending {file.name}") as bar:
        report = produce(settings.kafka, topic, outgoing(framed), on_progress=bar.advance_to)
    if as_json:
        print_json(
            {
                "topic": topic,
                "sent": report.messages,
                "bytes": report.value_bytes,
                "problems": [{"line": p.line, "reason": p.reason} for p in problems],
            }
        )
    else:
        stdout.print(f"sent {report.messages:,} messages to {topic}")
        for problem in problems[:_SHOWN_PROBLEMS]:
            stderr.print(f"line {problem.line}: {problem.reason}", markup=False)
        if problems:
            stderr.print(f"{len(problems):,} records could not be framed and were not sent")
    if problems and (strict or not report.messages):
        raise typer.Exit(1)


def _microseconds(when: datetime) -> int:
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)


def outgoing(messages: Iterable[FramedMessage]) -> Iterator[OutgoingMessage]:
    """Framed messages as the producer takes them."""
    for message in messages:
        yield OutgoingMessage(
            message.key, message.value, message.headers, message.timestamp_ms, None
        )
