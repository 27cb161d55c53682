"""Commands that move events through the lake: `adx ingest`, `adx reprocess`.

Belongs here: arguments, progress and the summary. Does not belong here: the steps (``pipeline``).
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.inputs import known_streams, opened_platform, streams_at_broker
from adx_platform.cli.output import print_json, progress_bar, stdout, table
from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.pipeline.ingest import BatchReport, ingest_lane
from adx_platform.pipeline.reprocess import reprocess_range

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command("ingest")(ingest_once)
    app.command("reprocess")(reprocess)


def ingest_once(
    stream: Annotated[
        list[str] | None, typer.Option(help="Only this stream; may be repeated.")
    ] = None,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Drain what is at the broker now, then stop (required).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Land and refine everything that the broker has now, exactly once.

    Safe to run at any time, twice at once, or after a crash: a range has one winner, and what was
    landed but not refined is refined first.
    """
    if not once:
        raise WrongUsage("say `adx ingest --once`: it drains what is there now and stops")
    platform = opened_platform()
    streams = streams_at_broker(platform, stream)
    batches: list[BatchReport] = []
    with progress_bar("ingesting") as bar:

        def on_batch(batch: BatchReport) -> None:
            bar.advance(sum(batch.counts.values()))
            bar.describe(f"ingesting {batch.stream}")

        for name in streams:
            for lane in range(platform.settings.kafka.lanes_per_topic):
                batches += ingest_lane(platform, name, lane, on_batch=on_batch)
    summary = {name: _summary([b for b in batches if b.stream == name]) for name in streams}
    if as_json:
        print_json(summary)
        return
    body: list[list[object]] = [["commits", *(s["commits"] for s in summary.values())]]
    body += [[str(d), *(s["counts"].get(str(d), 0) for s in summary.values())] for d in Disposition]
    body.append(["late", *(s["late"] for s in summary.values())])
    stdout.print(table("Ingested", ("messages", *summary), body))


def _summary(batches: list[BatchReport]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for batch in batches:
        counts.update(batch.counts)
        reasons.update(batch.reasons)
    return {
        "commits": len(batches),
        "counts": dict(counts),
        "reasons": dict(reasons),
        "late": sum(batch.late for batch in batches),
    }


def reprocess(
    stream: Annotated[str, typer.Option(help="The stream.")],
    partition: Annotated[int, typer.Option(min=0, help="Kafka partition.")],
    start: Annotated[int, typer.Option(min=0, help="First offset.")],
    end: Annotated[int, typer.Option(min=1, help="The offset after the last one.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the restatement.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Refine a past range again from its landed bytes, replacing exactly that range.

    The warehouse applies the restatement at its next load, the marts at their next build.
    """
    known_streams([stream])
    if end <= start:
        raise WrongUsage(f"--end {end} must be greater than --start {start}")
    platform = opened_platform()
    report = reprocess_range(platform, stream, [OffsetRange(partition, start, end)], reason=reason)
    if as_json:
        print_json({"revision": report.revision, "counts": report.counts})
        return
    stdout.print(f"revision {report.revision}: {stream} partition {partition} [{start}, {end})")
    stdout.print(table("Now", ("disposition", "rows"), sorted(report.counts.items())))
