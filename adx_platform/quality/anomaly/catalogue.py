"""The anomaly checks: their names, their series, and when a deviation is too much.

Belongs here: what is watched, and the limits, which were measured (``docs/anomalies.md`` has the
table). Does not belong here: how a verdict is found (``detector``) or shown (``orchestration``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from adx_platform.contracts.streams import STREAMS
from adx_platform.quality.anomaly.detector import Limits, State, Verdict, judge
from adx_platform.quality.anomaly.hours import closed_until
from adx_platform.quality.anomaly.marts import ARRIVALS, EXCHANGES, Marts
from adx_platform.quality.anomaly.series import Kind, Series
from adx_platform.quality.incidents.model import SeriesWindow
from adx_platform.settings import QualitySettings

# Too little is the worse side of a volume; too much must be gross, for a campaign may just begin.
VOLUME = Limits(low=4.3, high=6.0, matters=0.25)
# Sessions make one exchange's messages burst; silence is what to see.
EXCHANGE_VOLUME = Limits(low=4.3, high=8.0, matters=0.40)
REJECT_RATE = Limits(low=None, high=5.0, matters=0.5, matters_absolute=0.02)
LATE_RATE = Limits(low=None, high=5.0, matters=0.5, matters_absolute=0.03)
DUPLICATE_RATE = Limits(low=None, high=5.0, matters=0.5, matters_absolute=0.02)
CTR = Limits(low=4.5, high=4.5, matters=0.5)
WIN_RATE = Limits(low=4.3, high=4.5, matters=0.25)
CPM = Limits(low=5.0, high=5.0, matters=0.5)

_WITHOUT_EXCHANGE = frozenset({"clicks_conversions"})


@dataclass(frozen=True, slots=True)
class AnomalyCheck:
    """One check.

    Attributes:
        name: of the check; it ends in the stream that it is about.
        mart: the model that it sits on.
        description: one sentence for a person.
        kind: of its series.
        limits: when a deviation is too much.
        stream: which stream; null: figures that all streams go into.
        series: cuts its series out of the marts.
    """

    name: str
    mart: str
    description: str
    kind: Kind
    limits: Limits
    stream: str | None
    series: Callable[[Marts], list[Series]]

    def verdicts(
        self, marts: Marts, settings: QualitySettings, excluded: Collection[SeriesWindow] = ()
    ) -> list[Verdict]:
        """Judge every series of the check, what is worst first.

        Args:
            marts: the newest hours.
            settings: how much is tested, and how much history that needs.
            excluded: windows of incidents; not learned from.
        """
        closed = closed_until(marts.newest, self.stream, grace=settings.anomaly_grace)
        if closed is None:
            return []
        found = [
            judge(
                series,
                self.limits,
                closed_until=closed,
                tested_hours=settings.anomaly_tested_hours,
                min_days=settings.anomaly_min_days,
                excluded=excluded,
            )
            for series in self.series(marts)
        ]
        return sorted(found, key=_badness, reverse=True)


def _badness(verdict: Verdict) -> tuple[bool, float]:
    return (
        verdict.state is State.ANOMALOUS,
        abs(verdict.deviation.score) if verdict.deviation else -1.0,
    )


def anomaly_checks() -> list[AnomalyCheck]:
    """Every anomaly check."""
    return [*(check for stream in STREAMS for check in _of_stream(stream)), *_of_market()]


def _of_stream(stream: str) -> list[AnomalyCheck]:
    checks = [
        AnomalyCheck(
            f"volume_{stream}",
            ARRIVALS,
            "Messages per hour, against the same hours before.",
            Kind.VOLUME,
            VOLUME,
            stream,
            partial(Marts.volume, metric="volume", stream=stream),
        )
    ]
    if stream not in _WITHOUT_EXCHANGE:
        checks.append(
            AnomalyCheck(
                f"exchange_volume_{stream}",
                ARRIVALS,
                "Messages per hour and ad exchange, against the same hours before.",
                Kind.VOLUME,
                EXCHANGE_VOLUME,
                stream,
                partial(Marts.exchange_volumes, metric="exchange_volume", stream=stream),
            )
        )
    shares = (
        ("reject_rate", "rejected", "messages", REJECT_RATE, "Rejected share of the messages"),
        ("late_rate", "late", "accepted", LATE_RATE, "Late share of the accepted events"),
        (
            "duplicate_rate",
            "copies",
            "messages",
            DUPLICATE_RATE,
            "Share of the messages that are further copies",
        ),
    )
    return checks + [
        AnomalyCheck(
            f"{metric}_{stream}",
            ARRIVALS,
            f"{sentence}, by hour of arrival; only too much is wrong.",
            Kind.RATE,
            limits,
            stream,
            partial(Marts.share, metric=metric, stream=stream, part=part, whole=whole),
        )
        for metric, part, whole, limits, sentence in shares
    ]


def _of_market() -> list[AnomalyCheck]:
    return [
        AnomalyCheck(
            "ctr",
            EXCHANGES,
            "Clicks per rendered impression, both without invalid traffic.",
            Kind.RATE,
            CTR,
            None,
            partial(Marts.market_rate, metric="ctr", part="net_clicks", whole="net_impressions"),
        ),
        AnomalyCheck(
            "win_rate",
            EXCHANGES,
            "Won share of our bids, by the hour of the request.",
            Kind.RATE,
            WIN_RATE,
            None,
            partial(Marts.market_rate, metric="win_rate", part="wins", whole="bids"),
        ),
        AnomalyCheck(
            "cpm",
            EXCHANGES,
            "Mean clearing price of a win, by currency.",
            Kind.MEAN,
            CPM,
            None,
            partial(Marts.prices, metric="cpm"),
        ),
    ]
