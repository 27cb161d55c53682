"""The report in a few lines of Markdown, for a page that has little room.

Belongs here: what of the report is worth a glance, and escaping for Markdown. Does not belong here:
the whole report (``html``), or who shows it (``orchestration``).
"""

from __future__ import annotations

import re

from adx_platform.reporting.charts import line_chart
from adx_platform.reporting.document import ReportDocument
from adx_platform.reporting.html import period_words
from adx_platform.reporting.svg import data_address, shortened
from adx_platform.reporting.trust import Verdict

_TOP = 8
_LONGEST_NAME = 60
_MICROS = 1_000_000
_VERDICTS: dict[Verdict, str] = {
    "good": "\N{CHECK MARK} These figures can be trusted",
    "attention": "! These figures can be used, with attention",
    "bad": "\N{MULTIPLICATION X} Do not rely on these figures yet",
}
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:/@])")


def markdown_preview(document: ReportDocument) -> str:
    """The verdict, the messages by the hour, the largest campaigns."""
    trust = document.trust
    chart = data_address(line_chart(document.hourly.messages, title="Messages per hour and stream"))
    reasons = " ".join(trust.sentences) or (
        f"Conservation holds in {trust.conservation.equations:,} equations; no incident lasts."
    )
    return "\n".join(
        [
            f"**{_VERDICTS[trust.verdict]}**, {period_words(document.period)}",
            "",
            plain(reasons),
            "",
            f"![messages per hour and stream]({chart})",
            "",
            "| campaign | net impressions | clicks | CTR | conversions | spend | ROAS |",
            "|:---|---:|---:|---:|---:|---:|---:|",
            *(_row(document, index) for index in range(min(_TOP, len(document.campaigns)))),
        ]
    )


def plain(text: str) -> str:
    """``text`` such that Markdown shows it as it is, whatever it holds, on one line."""
    one_line = " ".join(text.split())
    escaped = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _PUNCTUATION.sub(r"\\\1", escaped)


def _row(document: ReportDocument, index: int) -> str:
    row = document.campaigns[index]
    cells = (
        plain(shortened(row.campaign, _LONGEST_NAME)),
        f"{row.net_impressions:,}",
        f"{row.clicks:,}",
        "" if row.ctr is None else f"{row.ctr:.2%}",
        f"{row.conversions:,}",
        f"{row.spend_micros / _MICROS:,.2f} {plain(row.currency or '')}".rstrip(),
        "" if row.roas is None else f"{row.roas:,.2f}",
    )
    return f"| {' | '.join(cells)} |"
