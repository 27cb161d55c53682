"""`adx report`: how the line stands, for a person, as JSON, or as an HTML file.

Belongs here: the look of the report in a terminal. Does not belong here: its figures and its HTML
(``reporting``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.output import print_json, stdout, table
from adx_platform.reporting.campaigns import AttributionTotals, CampaignTotals
from adx_platform.reporting.document import gather_document
from adx_platform.reporting.html import write_report
from adx_platform.reporting.line import LineReport, gather_line_report
from adx_platform.reporting.stages import Conservation, StreamStages
from adx_platform.settings import Settings

_MICROS = 1_000_000
_TOP = 10
_STAGES = (
    ("sent", "sent"),
    ("landed", "landed"),
    ("refined", "refined"),
    ("loaded", "loaded"),
    ("unique", "accepted"),
    ("rejected", "rejected"),
    ("duplicate", "duplicates"),
    ("conflict", "conflicts"),
    ("late", "late"),
    ("absent offsets", "absent"),
    ("lost offsets", "lost"),
)


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("report")(report)


def report(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="File for --html; left out: the one that Dagster's asset `report` writes.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Campaigns to show.")] = _TOP,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Write one self-contained HTML file, to PATH.")
    ] = False,
) -> None:
    """Show events per stage, the conservation verdict, campaigns and attribution.

    The exit code is 1 if conservation does not hold.
    """
    settings = checked_settings()
    if html and as_json:
        raise WrongUsage("choose one of --json and --html: each is a whole report")
    if path is not None and not html:
        raise WrongUsage(f"a file is written by --html only: adx report --html {path}")
    if html:
        if not _write_html(settings, path or settings.report_path):
            raise typer.Exit(1)
        return
    found = gather_line_report(settings)
    if as_json:
        print_json({**asdict(found), "conservation_holds": found.conservation.holds})
    else:
        print_report(found, top=top)
    if not found.conservation.holds:
        raise typer.Exit(1)


def _write_html(settings: Settings, path: Path) -> bool:
    document = gather_document(settings, now=datetime.now(UTC))
    if path.is_dir():
        raise WrongUsage(
            f"{path} is a folder: name a file in it, for example {path / 'report.html'}"
        )
    try:
        size = write_report(document, path)
    except OSError as error:
        raise WrongUsage(f"cannot write {path}: {error.strerror or error}") from error
    stdout.print(f"{path.absolute()} ({size / 1_000:,.0f} kB)", soft_wrap=True, markup=False)
    return document.trust.conservation.holds


def print_report(found: LineReport, *, top: int = _TOP) -> None:
    """Print the report as tables."""
    _print_stages(found.stages)
    _print_reasons(found.stages)
    _print_conservation(found.conservation)
    _print_campaigns(found.campaigns, top)
    _print_attribution(found.attribution)


def _print_stages(stages: list[StreamStages]) -> None:
    # A column per stream: the other way round, eleven stages do not fit into 100 columns.
    body = [_stage_row(head, [getattr(s, name) for s in stages]) for head, name in _STAGES]
    heads = ("messages", *(stage.stream for stage in stages), "all")
    stdout.print(table("Events per stage", heads, body))


def _stage_row(head: str, counts: list[int | None]) -> list[object]:
    known = [count for count in counts if count is not None]
    return [head, *counts, sum(known) if known else None]


def _print_reasons(stages: list[StreamStages]) -> None:
    reasons: Counter[tuple[str, str]] = Counter()
    for stage in stages:
        reasons.update({(stage.stream, code): count for code, count in stage.reasons.items()})
    if reasons:
        body = [[stream, code, count] for (stream, code), count in reasons.most_common()]
        stdout.print(
            table("Rejected by reason", ("stream", "reason", "messages"), body, text=range(2))
        )


def _print_conservation(conservation: Conservation) -> None:
    if conservation.holds:
        stdout.print(
            f"[bold green]Conservation holds[/]: every offset is accounted for exactly once, in "
            f"{conservation.equations} equations over landing, refined rows and marts"
        )
    elif not conservation.equations:
        stdout.print("[bold red]Conservation is not proven[/]: there is nothing to count yet")
    else:
        stdout.print(f"[bold red]Conservation is broken[/] ({conservation.equations} equations):")
        for line in conservation.broken:
            stdout.print(f"  {line}", markup=False, soft_wrap=True)
    stdout.print()


def _print_campaigns(campaigns: list[CampaignTotals], top: int) -> None:
    # Two tables: all measures in one would be wider than most terminals.
    shown = campaigns[:top]
    which = f"{len(shown)} of {len(campaigns)}, by net impressions"
    heads = ("campaign", "gross", "net", "viewable", "clicks", "CTR", "conv.", "CVR")
    body: list[list[object]] = [
        [
            c.campaign,
            c.gross_impressions,
            c.net_impressions,
            c.viewable_impressions,
            c.clicks,
            _percent(c.ctr),
            c.conversions,
            _percent(c.cvr),
        ]
        for c in shown
    ]
    stdout.print(table(f"Delivery of the top campaigns ({which})", heads, body))
    heads = ("campaign", "currency", "spend", "CPM", "CPC", "CPA", "revenue", "ROAS")
    body = [
        [
            c.campaign,
            c.currency,
            c.spend_micros / _MICROS,
            c.cpm,
            c.cpc,
            c.cpa,
            c.revenue_micros / _MICROS,
            c.roas,
        ]
        for c in shown
    ]
    stdout.print(table("What they cost and brought in", heads, body))


def _print_attribution(attribution: list[AttributionTotals]) -> None:
    heads = ("last touch", "conversions", "advertisers", "median hours to conversion")
    body = [[a.touch, a.conversions, a.advertisers, a.median_hours] for a in attribution]
    stdout.print(table("Attribution", heads, body))


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"
