"""The report as one HTML file that needs nothing else: no script, no font, no picture from outside.

Belongs here: how the figures look. Does not belong here: the figures (``document``), or the drawing
of a chart (``charts``, ``bars``).

A campaign's name is data: everything is escaped by the template engine, only the style sheet and
the drawings, which escape for themselves, are put in as they are. The page's own content security
policy forbids every request and every style but the one sheet, named by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from adx_platform.reporting.bars import Bar, bar_chart, funnel_chart, pace_of, progress_bar
from adx_platform.reporting.campaigns import CampaignTotals
from adx_platform.reporting.charts import line_chart
from adx_platform.reporting.delivery import CampaignBudget
from adx_platform.reporting.document import ReportDocument
from adx_platform.reporting.svg import day, number

TOP_CAMPAIGNS: Final = 200
"""Rows of the campaign table and of the budget table: the page stays below 400 kB."""

_TOP_REJECTS = 10
_TOP_INCIDENTS = 12
_TOP_CURRENCIES = 12
_NOTHING = "–"  # noqa: RUF001 - an en dash in an empty cell
_MICROS = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def render_report(document: ReportDocument) -> str:
    """The whole page."""
    environment = _environment()
    style = _style()
    budgets = sorted(document.budgets, key=lambda budget: -budget.spend_micros)[:TOP_CAMPAIGNS]
    return environment.get_template(
        "report.html.j2"
    ).render(
        doc=document,
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=_hash(style),
        period=period_words(document.period),
        totals=_totals(document),
        rejects_chart=_drawing(
            bar_chart(
                [
                    Bar(f"{reject.reason_code}", reject.messages, reject.stream)
                    for reject in document.trust.rejects[:_TOP_REJECTS]
                ],
                title="Messages refused, by reason",
            )
        ),
        funnel_chart=_drawing(_funnel(document)),
        messages_chart=_drawing(
            line_chart(document.hourly.messages, title="Messages per hour and stream")
        ),
        ctr_chart=_drawing(
            line_chart([document.hourly.ctr], title="Click-through rate per hour", unit="percent")
        ),
        spend_charts=[
            (
                series.name,
                _drawing(
                    line_chart(
                        [series], title=f"Spend per hour in {series.name}", width=320, height=140
                    )
                ),
            )
            for series in document.hourly.spend[:_TOP_CURRENCIES]
        ],
        budgets=_budget_groups(budgets),
        more_budgets=len(document.budgets) - len(budgets),
        campaigns=document.campaigns[:TOP_CAMPAIGNS],
        more_campaigns=max(len(document.campaigns) - TOP_CAMPAIGNS, 0),
        conversions=sum(row.conversions for row in document.attribution) or 1,
        top_rejects=_TOP_REJECTS,
        top_incidents=_TOP_INCIDENTS,
    )


def write_report(document: ReportDocument, path: Path) -> int:
    """Write the page so that a reader never meets half of one; how many bytes it has.

    Raises:
        OSError: the folder cannot be written.
    """
    page = render_report(document).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    pending = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(page)
        # mkstemp makes files that only their owner may read; a report is for others too.
        pending.chmod(0o644)
        pending.replace(path)
    finally:
        pending.unlink(missing_ok=True)
    return len(page)


def period_words(period: tuple[datetime, datetime] | None) -> str:
    """The days of ``period`` in words."""
    if period is None:
        return "before the first message"
    first, last = period
    if first.date() == last.date():
        return f"{day(first)} {first.year}"
    start = day(first) if first.year == last.year else f"{day(first)} {first.year}"
    return f"{start} to {day(last)} {last.year}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("adx_platform.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": _count,
        "percent": _percent,
        "money": _money,
        "amount": _amount,
        "moment": _moment,
        "age": _age,
        "viewability": _viewability,
    }
    return environment


def _style() -> str:
    sheet = Path(__file__).with_name("templates") / "report.css"
    return sheet.read_text(encoding="utf-8")


def _hash(style: str) -> str:
    """How the page's policy names its one style sheet."""
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"


def _drawing(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - drawings escape what they are given (reporting.svg)


def _funnel(document: ReportDocument) -> str:
    steps = [
        Bar(step.name, step.count, "" if step.rate is None else f"({number(step.rate, 'percent')})")
        for step in document.funnel
    ]
    return funnel_chart(steps, title="From offered impressions to conversions")


def _totals(document: ReportDocument) -> list[tuple[str, str, str]]:
    """The tiles: name, figure, what it is of."""
    campaigns = document.campaigns
    net = sum(row.net_impressions for row in campaigns)
    gross = sum(row.gross_impressions for row in campaigns)
    viewable = sum(row.viewable_impressions for row in campaigns)
    clicks = sum(row.clicks for row in campaigns)
    conversions = sum(row.conversions for row in campaigns)
    return [
        ("net impressions", _count(net), f"of {_count(gross)} gross"),
        ("viewable", _count(viewable), f"{_percent(viewable / net if net else None, 1)} of net"),
        ("clicks", _count(clicks), f"CTR {_percent(clicks / net if net else None, 2)}"),
        ("conversions", _count(conversions), "after a click or a view"),
        ("campaigns", _count(len(campaigns)), "with any activity"),
    ]


def _budget_groups(
    budgets: Iterable[CampaignBudget],
) -> list[tuple[str | None, str | None, list[tuple[CampaignBudget, Markup, str | None]]]]:
    """Budgets by advertiser and currency, each with its bar and what its pace is called."""
    ordered = sorted(
        budgets, key=lambda b: (b.advertiser or "", b.currency or "", b.campaign, b.campaign_id)
    )
    return [
        (
            *key,
            [
                (
                    budget,
                    _drawing(progress_bar(budget.pace, title=f"Spend of {budget.campaign}")),
                    None if budget.pace is None else pace_of(budget.pace),
                )
                for budget in group
            ],
        )
        for key, group in groupby(ordered, key=lambda b: (b.advertiser, b.currency))
    ]


def _count(value: int | None) -> str:
    return _NOTHING if value is None else f"{value:,}"


def _percent(value: float | None, digits: int = 1) -> str:
    return _NOTHING if value is None else f"{value:.{digits}%}"


def _amount(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:,.2f}"


def _money(micros: int | None) -> str:
    return _amount(None if micros is None else micros / _MICROS)


def _moment(value: datetime | None) -> str:
    return _NOTHING if value is None else f"{day(value)} {value:%Y %H:%M}"


def _age(value: timedelta) -> str:
    seconds = max(int(value.total_seconds()), 0)
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _DAY} days"


def _viewability(row: CampaignTotals) -> float | None:
    return row.viewable_impressions / row.net_impressions if row.net_impressions else None
