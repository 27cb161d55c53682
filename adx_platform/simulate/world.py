"""The business side of the market: advertisers, campaigns, creatives, exchanges, publishers, rates.

Belongs here: drawing these tables from a seed. Does not belong here: their CSV form
(``reference_files``) or how they behave in an auction (``bidding``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Literal

from adx_platform.simulate import behaviour
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.geography import COUNTRIES
from adx_platform.simulate.randomness import generator, log_normal

MediaType = Literal["banner", "video", "native"]

USD_PER_UNIT = {
    "USD": 1.0, "EUR": 1.085, "GBP": 1.27, "JPY": 0.0067, "INR": 0.0115, "AUD": 0.64,
    "BRL": 0.175, "CAD": 0.70,
}  # fmt: skip
RATE_STEP = Decimal("0.00000001")
FX_DAYS_BEFORE, FX_DAYS_AFTER = 32, 2

_EXCHANGES = (
    ("northlight", "Northlight Exchange", "USD", "first_price"),
    ("rheinbid", "RheinBid", "EUR", "first_price"),
    ("thamesx", "ThamesX", "GBP", "second_price"),
    ("sakura", "Sakura Ad Market", "JPY", "second_price"),
)
_EXCHANGE_SHARES = (0.45, 0.27, 0.18, 0.10)
_ADVERTISERS = (
    ("Harbour Outfitters", "America/New_York", "USD"),
    ("Blue Mesa Coffee", "America/Los_Angeles", "USD"),
    ("Lakeview Games", "America/Chicago", "USD"),
    ("Kingsway Books", "Europe/London", "GBP"),
    ("Alpenrad", "Europe/Berlin", "EUR"),
    ("Maison Clairmont", "Europe/Paris", "EUR"),
    ("Sol y Mar Viajes", "Europe/Madrid", "EUR"),
    ("Mumbai Spice Box", "Asia/Kolkata", "INR"),
    ("Kumo Mobile", "Asia/Tokyo", "JPY"),
    ("Outback Cycles", "Australia/Adelaide", "AUD"),
    ("Ipanema Fitness", "America/Sao_Paulo", "BRL"),
    ("Maple Insurance", "America/St_Johns", "CAD"),
)
_OBJECTIVES = ("awareness", "traffic", "conversions", "app_installs")
_SEASONS = ("Always On", "Spring Launch", "Retargeting", "Prospecting", "Clearance")
_FORMATS: tuple[tuple[MediaType, tuple[tuple[int, int], ...], float], ...] = (
    ("banner", ((300, 250), (320, 50), (728, 90), (160, 600), (300, 600)), 0.6),
    ("video", ((640, 360), (1920, 1080)), 0.2),
    ("native", ((1200, 627),), 0.2),
)
_DEVICE_TARGETS = ((2, 3, 4, 5), (2, 4, 5), (4, 5), (2, 3))
_CLICK_LOOKBACK_HOURS = (24, 48, 72, 168)
_VIEW_LOOKBACK_HOURS = (6, 12, 24, 24)
_FREQUENCY_CAPS = (2, 3, 4, 6, 10)
_PAUSED_SHARE, _SPLIT_FLIGHT_SHARE = 0.05, 0.2
_CAMPAIGNS_PER_ADVERTISER = (3, 3, 3, 4, 4, 4)
_PUBLISHER_WORDS = (
    "daily", "metro", "sport", "kitchen", "garden", "tech", "travel", "money", "health", "music",
    "film", "weather", "auto", "parent", "puzzle", "radio", "market", "campus", "river", "summit",
)  # fmt: skip
_PUBLISHER_KINDS = ("news", "times", "hub", "post", "zone", "world", "guide", "club")


@dataclass(frozen=True, slots=True)
class Advertiser:
    """Who pays; ``currency`` and ``time_zone`` are those of its reports."""

    advertiser_id: str
    name: str
    time_zone: str
    currency: str
    click_lookback_hours: int
    view_lookback_hours: int
    updated_at: datetime
    appeal: float


@dataclass(frozen=True, slots=True)
class Creative:
    """One ad of a campaign."""

    creative_id: str
    name: str
    media_type: MediaType
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Flight:
    """A period in which a campaign may run, with its share of the budget."""

    flight_id: str
    starts_at: datetime
    ends_at: datetime
    budget_micros: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is bid for; money is in the advertiser's currency, ``base_bid_usd`` is a CPM."""

    campaign_id: str
    advertiser: Advertiser
    name: str
    objective: str
    status: str
    daily_budget_micros: int
    total_budget_micros: int
    frequency_cap_per_day: int
    updated_at: datetime
    flights: tuple[Flight, ...]
    creatives: tuple[Creative, ...]
    countries: frozenset[str]
    device_types: tuple[int, ...]
    base_bid_usd: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """An ad exchange; ``share`` is its part of the publishers."""

    exchange_id: str
    name: str
    currency: str
    auction_type: str
    share: float

    @property
    def openrtb_auction_type(self) -> int:
        """OpenRTB ``at``: 1 first price, 2 second price."""
        return 1 if self.auction_type == "first_price" else 2


@dataclass(frozen=True, slots=True)
class Publisher:
    """A seller of inventory at one exchange."""

    publisher_id: str
    exchange: Exchange
    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class World:
    """All reference data of one market."""

    advertisers: tuple[Advertiser, ...]
    campaigns: tuple[Campaign, ...]
    exchanges: tuple[Exchange, ...]
    publishers: tuple[Publisher, ...]
    fx_rates: tuple[tuple[date, str, str, Decimal], ...]


def build_world(config: MarketConfig) -> World:
    """Draw the reference data of ``config``; independent of its fault rates."""
    rng = generator(config.seed, "world")
    advertisers = tuple(_advertiser(rng, config, index) for index in range(len(_ADVERTISERS)))
    campaigns: list[Campaign] = []
    for advertiser in advertisers:
        for _ in range(rng.choice(_CAMPAIGNS_PER_ADVERTISER)):
            campaigns.append(_campaign(rng, config, advertiser, len(campaigns) + 1))
    exchanges = tuple(
        Exchange(*row, share) for row, share in zip(_EXCHANGES, _EXCHANGE_SHARES, strict=True)
    )
    return World(
        advertisers=advertisers,
        campaigns=tuple(campaigns),
        exchanges=exchanges,
        publishers=tuple(_publishers(rng, exchanges)),
        fx_rates=tuple(_fx_rates(generator(config.seed, "fx"), config)),
    )


def _advertiser(rng: Random, config: MarketConfig, index: int) -> Advertiser:
    name, time_zone, currency = _ADVERTISERS[index]
    return Advertiser(
        advertiser_id=f"adv-{index + 1:03d}",
        name=name,
        time_zone=time_zone,
        currency=currency,
        click_lookback_hours=rng.choice(_CLICK_LOOKBACK_HOURS),
        view_lookback_hours=rng.choice(_VIEW_LOOKBACK_HOURS),
        updated_at=config.start - timedelta(days=rng.randint(3, 90), minutes=rng.randint(0, 1439)),
        appeal=log_normal(rng, 1.0, 0.3),
    )


def _campaign(rng: Random, config: MarketConfig, advertiser: Advertiser, number: int) -> Campaign:
    campaign_id = f"cmp-{number:04d}"
    objective = rng.choice(_OBJECTIVES)
    # Spend grows with the number of simulated messages, so budgets do too: some campaigns reach
    # their daily cap, most do not.
    daily_usd = log_normal(rng, 0.9, 0.6) * config.events / 200_000 * 3 / config.days
    daily = _round_up(daily_usd / USD_PER_UNIT[advertiser.currency] * behaviour.MICROS, 10_000)
    names = {country.code for country in COUNTRIES if country.time_zone == advertiser.time_zone}
    others = [country.code for country in COUNTRIES if country.code not in names]
    return Campaign(
        campaign_id=campaign_id,
        advertiser=advertiser,
        name=f"{advertiser.name} {rng.choice(_SEASONS)} {number}",
        objective=objective,
        status="paused" if rng.random() < _PAUSED_SHARE else "active",
        daily_budget_micros=daily,
        total_budget_micros=daily * 30,
        frequency_cap_per_day=rng.choice(_FREQUENCY_CAPS),
        updated_at=config.start - timedelta(days=rng.randint(1, 20), minutes=rng.randint(0, 1439)),
        flights=_flights(rng, config, campaign_id, daily * 30),
        creatives=tuple(_creatives(rng, campaign_id)),
        countries=frozenset(names | set(rng.sample(others, rng.randint(3, 6)))),
        device_types=rng.choice(_DEVICE_TARGETS),
        base_bid_usd=log_normal(rng, 3.2, 0.25),
    )


def _round_up(value: float, step: int) -> int:
    return (int(value) // step + 1) * step


def _flights(
    rng: Random, config: MarketConfig, campaign_id: str, budget: int
) -> tuple[Flight, ...]:
    starts_at = config.start - timedelta(days=rng.randint(2, 20))
    ends_at = config.end + timedelta(days=rng.randint(5, 25))
    if rng.random() >= _SPLIT_FLIGHT_SHARE:
        return (Flight(f"{campaign_id}-f1", starts_at, ends_at, budget),)
    # A pause of some hours in the middle of the simulated time.
    pause = config.start + timedelta(hours=rng.randint(6, 24 * config.days - 6))
    resume = pause + timedelta(hours=rng.randint(4, 30))
    return (
        Flight(f"{campaign_id}-f1", starts_at, pause, budget // 2),
        Flight(f"{campaign_id}-f2", resume, max(ends_at, resume), budget - budget // 2),
    )


def _creatives(rng: Random, campaign_id: str) -> list[Creative]:
    creatives = []
    for number in range(1, rng.randint(2, 4) + 1):
        media_type, sizes, _ = rng.choices(_FORMATS, [item[2] for item in _FORMATS])[0]
        width, height = rng.choice(sizes)
        creatives.append(
            Creative(
                f"{campaign_id}-c{number}",
                f"{media_type} {width}x{height} v{number}",
                media_type,
                width,
                height,
            )
        )
    return creatives


def _publishers(rng: Random, exchanges: tuple[Exchange, ...]) -> list[Publisher]:
    names = [f"{word} {kind}" for word in _PUBLISHER_WORDS for kind in _PUBLISHER_KINDS]
    rng.shuffle(names)
    weights = [exchange.share for exchange in exchanges]
    return [
        Publisher(
            publisher_id=f"pub-{number:04d}",
            exchange=rng.choices(exchanges, weights)[0],
            name=name.title(),
            domain=f"{name.replace(' ', '')}.example",
        )
        for number, name in enumerate(names[: behaviour.PUBLISHERS], start=1)
    ]


def _fx_rates(rng: Random, config: MarketConfig) -> list[tuple[date, str, str, Decimal]]:
    """Every pair on every date that an accepted event can have, identity included."""
    values = dict(USD_PER_UNIT)
    first = config.start.astimezone(UTC).date() - timedelta(days=FX_DAYS_BEFORE)
    rows = []
    for day in range(FX_DAYS_BEFORE + config.days + FX_DAYS_AFTER):
        for source, source_value in values.items():
            for target, target_value in values.items():
                exact = Decimal(repr(source_value)) / Decimal(repr(target_value))
                rate = exact.quantize(RATE_STEP, rounding=ROUND_HALF_UP)
                rows.append((first + timedelta(days=day), source, target, rate))
        values = {
            currency: value if currency == "USD" else _next_rate(rng, value)
            for currency, value in values.items()
        }
    return rows


def _next_rate(rng: Random, value: float) -> float:
    """Tomorrow's value of a currency in USD: a small random step."""
    return round(value * (1.0 + rng.gauss(0.0, 0.004)), 10)
