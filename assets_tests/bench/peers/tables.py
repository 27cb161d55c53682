"""The results as tables, for a terminal or as Markdown.

Belongs here: columns, words, layout. Does not belong here: figures (``outcomes``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.box import SIMPLE
from rich.table import Table

from adx_platform.contracts.streams import STREAMS
from assets_tests.bench.peers.contenders import CEILING, CONTENDERS, INGEST, LANDING
from assets_tests.bench.peers.outcomes import Outcome, Results, ratio
from assets_tests.bench.peers.traffic import WIRES

_CPU = (
    "CPU is user and system time of all processes of a contender, JVM included, the broker's not; "
    "start-up is that of the same contender with a few hundred messages, and `running` is without "
    "it. Wall clock has start-up in it, and the broker on the same cores."
)
_PEAK = (
    "Peak is the sum over the processes of a contender of the most resident memory that each held; "
    "pages that processes share count for each."
)
_WORK = (
    "adx syncs each commit to disk; the others leave that to the operating system. adx landing and "
    "adx ingest run a process for each of two lanes; `1 process` drains one lane after the other. "
    "Ingest lands, checks, refuses with a reason, enriches, pseudonymises and marks duplicates; no "
    "peer does."
)
_REFUSED = (
    "Arrow infers types for a batch, and a single message with another type would stop them. "
    "Spark keeps the text of JSON that it cannot parse, and a row of nulls for CSV and Avro; dlt's "
    "resource leaves out what cannot be decoded."
)


@dataclass
class Sheet:
    """A table: the first column is text, the others are figures. A row of one cell is a heading."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def rich(self) -> Table:
        """For a terminal."""
        built = Table(
            title=self.title,
            title_justify="left",
            title_style="bold",
            box=SIMPLE,
            padding=(0, 1, 0, 0),
        )
        for position, name in enumerate(self.columns):
            built.add_column(name, justify="right" if position else "left", no_wrap=True)
        for row in self.rows:
            if len(row) == 1:
                built.add_section()
            built.add_row(*row, style="bold" if len(row) == 1 else None)
        return built

    def markdown(self) -> str:
        """The same for a page."""
        head = [" ".join(name.split()) for name in self.columns]
        ruler = [":--", *("--:" for _ in self.columns[1:])]
        lines = [head, ruler]
        for row in self.rows:
            cells = [f"**{row[0]}**"] if len(row) == 1 else [cell.strip() for cell in row]
            lines.append(cells + [""] * (len(self.columns) - len(cells)))
        body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"**{self.title}**\n\n{body}\n"


def sheets(results: Results) -> list[Sheet]:
    """All tables of a run."""
    return [_speed(results), _became(results), _ratios(results)]


def notes(results: Results) -> list[str]:
    """What one has to know to read the tables."""
    streams = ", ".join(
        f"{one.messages:,} {WIRES[one.stream]} messages of {one.bytes_per_message:,.0f} B "
        f"({one.malformed / one.messages:.1%} malformed, {one.duplicates / one.messages:.1%} twice)"
        for one in results.traffic
    )
    sound = ", ".join(one.name for one in CONTENDERS if one.sound)
    versions = ", ".join(f"{name} {found}" for name, found in results.versions.items())
    load = f"{results.load_before:.1f}, {results.load_after:.1f}"
    return [
        f"One Apache Kafka, {results.partitions} partitions: {streams}.",
        f"Medians of {results.repetitions}. {_CPU}",
        _PEAK,
        _WORK,
        f"{sound}: these read the topic without the malformed messages. {_REFUSED}",
        *(f"{name} was left out: {why}." for name, why in results.unavailable.items()),
        *(f"{one.contender} failed on {one.stream}: {one.reason}" for one in results.failures),
        f"{versions}; load of {os.cpu_count()} cores before and after: {load}.",
    ]


def _speed(results: Results) -> Sheet:
    sheet = Sheet(
        "Speed and memory",
        (
            "contender",
            "k msg/\nCPU s",
            "running,\nk msg/CPU s",
            "of\nceiling",
            "k msg/s\nwall",
            "peak\nMB",
            "start-up\nCPU s",
        ),
    )
    for stream, found in _by_stream(results):
        sheet.rows.append((f"{stream} ({WIRES[stream]})",))
        ceiling = results.outcome(CEILING, stream)
        for one in found:
            share = ratio(
                one.per_cpu_second_running, ceiling.per_cpu_second_running if ceiling else None
            )
            sheet.rows.append(
                (
                    f"  {one.contender}",
                    _thousands(one.per_cpu_second),
                    _thousands(one.per_cpu_second_running),
                    "-" if share is None else f"{share:.1%}",
                    _thousands(one.per_second),
                    f"{one.full.peak_mb:,.0f}",
                    f"{one.few.cpu_seconds:.1f}",
                )
            )
    return sheet


def _became(results: Results) -> Sheet:
    sheet = Sheet(
        "What became of the messages",
        ("contender", "given", "rows", "marked\ndouble", "refused", "lost", "Parquet\nMB"),
    )
    for stream, found in _by_stream(results):
        sheet.rows.append((f"{stream} ({WIRES[stream]})",))
        for one in found:
            if one.contender == CEILING:
                continue
            counts = (
                one.messages,
                one.stored.rows,
                one.stored.duplicates,
                one.stored.refused,
                one.stored.lost(one.messages),
            )
            size = f"{one.stored.parquet_bytes / 1e6:,.1f}"
            sheet.rows.append((f"  {one.contender}", *(f"{count:,}" for count in counts), size))
    return sheet


def _ratios(results: Results) -> Sheet:
    sheet = Sheet(
        "adx against each peer (above 1: adx does more per CPU second, or needs less memory)",
        (
            "peer",
            "ingest,\nCPU",
            "ingest,\nrunning",
            "ingest,\nmemory",
            "landing,\nCPU",
            "landing,\nrunning",
            "landing,\nmemory",
        ),
    )
    peers = {one.name for one in CONTENDERS if not one.is_ours}
    for stream, found in _by_stream(results):
        sheet.rows.append((f"{stream} ({WIRES[stream]})",))
        ours = [results.outcome(name, stream) for name in (INGEST, LANDING)]
        for one in found:
            if one.contender in peers:
                cells = (cell for own in ours for cell in _against(own, one))
                sheet.rows.append((f"  {one.contender}", *cells))
    return sheet


def _against(ours: Outcome | None, peer: Outcome) -> tuple[str, str, str]:
    if ours is None:
        return "-", "-", "-"
    return (
        _times(ratio(ours.per_cpu_second, peer.per_cpu_second)),
        _times(ratio(ours.per_cpu_second_running, peer.per_cpu_second_running)),
        _times(ratio(peer.full.peak_mb, ours.full.peak_mb)),
    )


def _by_stream(results: Results) -> Iterator[tuple[str, list[Outcome]]]:
    for stream in STREAMS:
        outcomes = (results.outcome(one.name, stream) for one in CONTENDERS)
        found = [one for one in outcomes if one is not None]
        if found:
            yield stream, found


def _thousands(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:,.1f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}x"
