"""`adx report`: how the line stands, for a person or as JSON.

Belongs here: the look of the report. Does not belong here: its figures (``reporting``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from adx_platform.cli.output import print_json, stdout, table
from adx_platform.reporting.campaigns import AttributionTotals, CampaignTotals
from adx_platform.reporting.line import LineReport, gather_line_report
from adx_platform.reporting.stages import Conservation, StreamStages
from adx_platform.settings import current_settings

_MICROS = 1_000_000
_TOP = 10


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("report")(report)


def report(
    top: Annotated[int, typer.Option(min=1, help="Campaigns to show.")] = _TOP,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show events per stage, the conservation verdict, campaigns and attribution.

    The exit code is 1 if conservation does not hold.
    """
    found = gather_line_report(current_settings())
    if as_json:
        print_json({**asdict(found), "conservation_holds": found.conservation.holds})
    else:
        print_report(found, top=top)
    if not found.conservation.holds:
        raise typer.Exit(1)


def print_report(found: LineReport, *, top: int = _TOP) -> None:
    """Print the report as tables."""
    _print_stages(found.stages)
    _print_reasons(found.stages)
    _print_conservation(found.conservation)
    _print_campaigns(found.campaigns, top)
    _print_attribution(found.attribution)


def _print_stages(stages: list[StreamStages]) -> None:
    heads = (
        "stream",
        "sent",
        "landed",
        "loaded",
        "unique",
        "rejected",
        "duplicate",
        "conflict",
        "late",
        "absent",
        "lost",
    )
    body = [
        [
            s.stream,
            s.sent,
            s.landed,
            s.loaded,
            s.accepted,
            s.rejected,
            s.duplicates,
            s.conflicts,
            s.late,
            s.absent,
            s.lost,
        ]
        for s in stages
    ]
    built = table("Events per stage", heads, body)
    totals = [sum(row[i] or 0 for row in body) for i in range(1, len(heads))]  # type: ignore[misc]
    built.add_section()
    built.add_row("all", *(f"{total:,}" for total in totals))
    stdout.print(built)


def _print_reasons(stages: list[StreamStages]) -> None:
    reasons: Counter[tuple[str, str]] = Counter()
    for stage in stages:
        reasons.update({(stage.stream, code): count for code, count in stage.reasons.items()})
    if reasons:
        body = [[stream, code, count] for (stream, code), count in reasons.most_common()]
        stdout.print(table("Rejected by reason", ("stream", "reason", "messages"), body, left=2))


def _print_conservation(conservation: Conservation) -> None:
    if conservation.holds:
        stdout.print(
            f"[bold green]Conservation holds[/]: every offset is accounted for exactly once, in "
            f"{conservation.equations} equations over landing, refined rows and marts"
        )
    else:
        stdout.print(f"[bold red]Conservation is broken[/] ({conservation.equations} equations):")
        for line in conservation.broken:
            stdout.print(f"  {line}", markup=False)
    stdout.print()


def _print_campaigns(campaigns: list[CampaignTotals], top: int) -> None:
    heads = (
        "campaign",
        "cur",
        "gross",
        "net",
        "viewable",
        "clicks",
        "CTR",
        "conv",
        "CVR",
        "spend",
        "CPM",
        "CPC",
        "CPA",
        "ROAS",
    )
    body = [
        [
            c.campaign,
            c.currency,
            c.gross_impressions,
            c.net_impressions,
            c.viewable_impressions,
            c.clicks,
            _percent(c.ctr),
            c.conversions,
            _percent(c.cvr),
            c.spend_micros / _MICROS,
            c.cpm,
            c.cpc,
            c.cpa,
            c.roas,
        ]
        for c in campaigns[:top]
    ]
    title = f"Top campaigns ({min(top, len(campaigns))} of {len(campaigns)}, by net impressions)"
    stdout.print(table(title, heads, body, left=2))


def _print_attribution(attribution: list[AttributionTotals]) -> None:
    heads = ("last touch", "conversions", "advertisers", "median hours to conversion")
    body = [[a.touch, a.conversions, a.advertisers, a.median_hours] for a in attribution]
    stdout.print(table("Attribution", heads, body))


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"
