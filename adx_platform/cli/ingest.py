"""Commands that move events through the lake: `adx ingest`, `adx reprocess`.

Belongs here: arguments, progress and the summary. Does not belong here: the steps (``pipeline``).
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import Annotated, Any

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.follow import follow as follow_until_told
from adx_platform.cli.inputs import (
    FromBrokerOption,
    checked_settings,
    known_streams,
    opened_platform,
    streams_at_broker,
)
from adx_platform.cli.output import print_json, progress_bar, stdout, table
from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.pipeline.hours import HoursReport, TimeOf, backfill_hours, parse_hour
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
        bool, typer.Option("--once", help="Drain what is at the broker now, then stop.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Stay, and take what arrives within seconds.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report", help="With --follow: tell Dagster about batches and checks."
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Land and refine everything that the broker has now, exactly once.

    Safe to run at any time, twice at once, or after a crash: a range has one winner, and what was
    landed but not refined is refined first.
    """
    if once == follow:
        raise WrongUsage(
            "say `adx ingest --once`: it drains what is there now and stops; "
            "or `adx ingest --follow`: it stays"
        )
    if follow:
        _follow(stream, report=report, as_json=as_json)
        return
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
    for name, found in summary.items():
        if found["noted"]:
            stdout.print(
                f"{name} has what the contract does not know, and was let pass: "
                + "; ".join(found["noted"]),
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _follow(streams: list[str] | None, *, report: bool, as_json: bool) -> None:
    if as_json:
        raise WrongUsage("--json is for --once; of the resident loop read the log or /metrics")
    names = known_streams(streams)
    settings = checked_settings()
    # Dagster takes seconds to import: only who follows pays for it.
    resident = import_module("adx_platform.orchestration.resident")
    follow_until_told(
        settings,
        lambda stop: resident.run_resident(settings, stop, streams=names, report=report),
    )


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
        "noted": sorted({name for batch in batches for name in batch.noted}),
    }


def reprocess(
    stream: Annotated[str, typer.Option(help="The stream.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the restatement.")],
    *,
    partition: Annotated[int | None, typer.Option(min=0, help="Kafka partition.")] = None,
    start: Annotated[int | None, typer.Option(min=0, help="First offset.")] = None,
    end: Annotated[int | None, typer.Option(min=1, help="The offset after the last one.")] = None,
    from_time: Annotated[
        str | None, typer.Option("--from", help="First hour instead of offsets: 2026-03-02T10.")
    ] = None,
    to_time: Annotated[
        str | None, typer.Option("--to", help="The hour after the last one.")
    ] = None,
    by: Annotated[
        TimeOf, typer.Option(help="Whether hours are the broker's or the events' own.")
    ] = TimeOf.KAFKA,
    from_broker: FromBrokerOption = False,
    as_json: JsonOption = False,
) -> None:
    """Refine a past range again from its landed bytes, replacing exactly that range.

    Say which one by offsets (--partition, --start, --end) or by hours of UTC (--from, --to). The
    warehouse applies the restatement at its next load, the marts at their next build.
    """
    known_streams([stream])
    if from_time is not None and to_time is not None:
        if (partition, start, end) != (None, None, None):
            raise WrongUsage("say either offsets or hours, not both")
        hours = parse_hour(from_time), parse_hour(to_time)
        found = backfill_hours(
            opened_platform(), stream, *hours, by=by, reason=reason, from_broker=from_broker
        )
        _print_hours(found, as_json=as_json)
        return
    if partition is None or start is None or end is None:
        raise WrongUsage("say which range: --partition, --start and --end, or --from and --to")
    if end <= start:
        raise WrongUsage(f"--end {end} must be greater than --start {start}")
    platform = opened_platform()
    report = reprocess_range(
        platform,
        stream,
        [OffsetRange(partition, start, end)],
        reason=reason,
        from_broker=from_broker,
    )
    if as_json:
        print_json({"revision": report.revision, "counts": report.counts})
        return
    stdout.print(f"revision {report.revision}: {stream} partition {partition} [{start}, {end})")
    stdout.print(table("Now", ("disposition", "rows"), sorted(report.counts.items())))


def _print_hours(report: HoursReport, *, as_json: bool) -> None:
    if as_json:
        print_json({"revisions": report.revisions, "before": report.before, "counts": report.after})
        return
    stdout.print(report.explain(), markup=False, highlight=False)
    body = [
        (name, report.before.get(name, 0), report.after.get(name, 0))
        for name in sorted(report.after)
    ]
    stdout.print(table("Refined again", ("disposition", "before", "now"), body))
