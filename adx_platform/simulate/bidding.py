"""Our bidder and the market it bids in: whom we bid for, at what price, and who wins.

Belongs here: targeting, pacing, frequency capping, the price landscape, clearing. Does not belong
here: what follows a win (``outcomes``).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum
from random import Random
from zoneinfo import ZoneInfo

from adx_platform.simulate import behaviour
from adx_platform.simulate.inventory import MEDIA_PRICE, Placement
from adx_platform.simulate.population import Person
from adx_platform.simulate.randomness import log_normal
from adx_platform.simulate.world import USD_PER_UNIT, Campaign, Creative, Exchange, World

_CANDIDATES = 3
_PACING_SLACK = 0.12
_BID_SIGMA = 0.35
_DEAL_TAKEN = 0.5
_HOURS_PER_DAY = 24
# A local day begins at most 14 hours before UTC's and ends at most 12 hours after it.
_REMEMBERED = timedelta(days=2)
_CENT_MICROS = 10_000


class NoBid(IntEnum):
    """OpenRTB no-bid reason codes; 500 and above are ours."""

    INVALID_REQUEST = 2
    KNOWN_CRAWLER = 3
    NON_HUMAN = 4
    CLOUD_ADDRESS = 5
    UNMATCHED_USER = 8
    FREQUENCY_CAP = 9
    NO_CAMPAIGN = 500
    PACED = 501
    BELOW_FLOOR = 502


class Loss(IntEnum):
    """OpenRTB loss reason codes."""

    HIGHER_BID = 102
    DEAL = 103
    EXPIRED = 2


_ROBOT_REFUSALS = {
    "user_agent": NoBid.KNOWN_CRAWLER,
    "non_browser": NoBid.NON_HUMAN,
    "data_centre": NoBid.CLOUD_ADDRESS,
}


@dataclass(frozen=True, slots=True)
class Bid:
    """A bid and how the auction ended; prices are CPMs in micros of ``currency``."""

    bid_id: str
    campaign: Campaign
    creative: Creative
    deal_id: str | None
    price_micros: int
    currency: str
    is_won: bool
    clearing_micros: int
    min_to_win_micros: int
    loss: Loss | None


@dataclass(slots=True)
class BidderState:
    """What the bidder remembers from hour to hour."""

    spent_usd: dict[tuple[str, date], float] = field(default_factory=lambda: defaultdict(float))
    shown: dict[tuple[int, str, date], int] = field(default_factory=lambda: defaultdict(int))
    local: dict[str, tuple[date, float]] = field(default_factory=dict)
    running: frozenset[str] = frozenset()

    def forget_before(self, day: date) -> None:
        """Let go of older days: a market that never stops must not grow."""
        for spent in [key for key in self.spent_usd if key[1] < day]:
            del self.spent_usd[spent]
        for shown in [key for key in self.shown if key[2] < day]:
            del self.shown[shown]


class Bidder:
    """Decides for each impression offered; call :meth:`begin_hour` first."""

    def __init__(self, world: World) -> None:
        self._campaigns = world.campaigns
        self._zones = {a.time_zone: ZoneInfo(a.time_zone) for a in world.advertisers}
        self.state = BidderState()
        self._eligible: dict[tuple[str, str, int, int, int], list[tuple[Campaign, Creative]]] = {}

    def begin_hour(self, at: datetime) -> None:
        """Bring local days, pacing and flights up to ``at``; accurate to the hour."""
        for name, zone in self._zones.items():
            local = at.astimezone(zone)
            self.state.local[name] = (local.date(), (local.hour + 1) / _HOURS_PER_DAY)
        self.state.forget_before(at.date() - _REMEMBERED)
        self.state.running = frozenset(
            campaign.campaign_id
            for campaign in self._campaigns
            if campaign.status == "active"
            and any(flight.starts_at <= at < flight.ends_at for flight in campaign.flights)
        )

    def decide(
        self,
        rng: Random,
        *,
        bid_id: str,
        person: Person,
        placement: Placement,
        exchange: Exchange,
        floor_micros: int,
        has_deal: bool,
    ) -> Bid | NoBid:
        """Bid for one impression, or say why not."""
        if person.givt_reason and rng.random() < behaviour.BOT_REFUSED_SHARE:
            return _ROBOT_REFUSALS[person.givt_reason]
        if rng.random() > behaviour.CONSIDER_SHARE:
            return NoBid.NO_CAMPAIGN if person.sent_id else NoBid.UNMATCHED_USER
        choice = self._choose(rng, person, placement)
        if isinstance(choice, NoBid):
            return choice
        campaign, creative = choice
        level = person.country.price_level
        value_usd = (
            log_normal(rng, campaign.base_bid_usd, _BID_SIGMA)
            * MEDIA_PRICE[placement.media_type]
            * level
            * behaviour.SHADING
            / 2
        )
        price = _price_step(value_usd / USD_PER_UNIT[exchange.currency])
        if price < floor_micros:
            return NoBid.BELOW_FLOOR
        best_other = _highest_competitor(rng, placement, level, exchange, floor_micros)
        is_won = price > best_other
        deal = f"deal-{placement.placement_id}" if has_deal else None
        first_price = exchange.auction_type == "first_price"
        return Bid(
            bid_id=bid_id,
            campaign=campaign,
            creative=creative,
            deal_id=deal if deal and rng.random() < _DEAL_TAKEN else None,
            price_micros=price,
            currency=exchange.currency,
            is_won=is_won,
            clearing_micros=price if first_price else min(price, best_other + _CENT_MICROS),
            min_to_win_micros=best_other + _CENT_MICROS,
            loss=None if is_won else _loss(rng),
        )

    def note_shown(self, person: Person, campaign: Campaign) -> None:
        """Count an impression towards the campaign's daily cap for this person."""
        self.state.shown[self._shown_key(person, campaign)] += 1

    def note_spend(self, campaign: Campaign, price_micros: int, currency: str) -> None:
        """Count a billed impression towards the campaign's daily budget."""
        usd = price_micros * USD_PER_UNIT[currency] / behaviour.MICROS / 1_000
        self.state.spent_usd[campaign.campaign_id, self._local(campaign)[0]] += usd

    def _local(self, campaign: Campaign) -> tuple[date, float]:
        return self.state.local[campaign.advertiser.time_zone]

    def _shown_key(self, person: Person, campaign: Campaign) -> tuple[int, str, date]:
        return person.number, campaign.campaign_id, self._local(campaign)[0]

    def _choose(
        self, rng: Random, person: Person, placement: Placement
    ) -> tuple[Campaign, Creative] | NoBid:
        """The best of a few eligible campaigns that may still spend and still show."""
        eligible = [
            pair
            for pair in self._targeting(person, placement)
            if pair[0].campaign_id in self.state.running
        ]
        if not eligible:
            return NoBid.NO_CAMPAIGN
        reason = NoBid.NO_CAMPAIGN
        best: tuple[Campaign, Creative] | None = None
        for _ in range(_CANDIDATES):
            campaign, creative = rng.choice(eligible)
            day, elapsed = self._local(campaign)
            budget_usd = (
                campaign.daily_budget_micros
                / behaviour.MICROS
                * USD_PER_UNIT[campaign.advertiser.currency]
            )
            spent = self.state.spent_usd[campaign.campaign_id, day]
            if spent > budget_usd * min(1.0, elapsed + _PACING_SLACK):
                reason = NoBid.PACED
            elif (
                self.state.shown[person.number, campaign.campaign_id, day]
                >= campaign.frequency_cap_per_day
            ):
                reason = NoBid.FREQUENCY_CAP
            elif best is None or campaign.base_bid_usd > best[0].base_bid_usd:
                best = campaign, creative
        return best or reason

    def _targeting(self, person: Person, placement: Placement) -> list[tuple[Campaign, Creative]]:
        key = (
            person.country.code,
            placement.media_type,
            placement.width if placement.media_type == "banner" else 0,
            placement.height if placement.media_type == "banner" else 0,
            person.device.device_type,
        )
        found = self._eligible.get(key)
        if found is None:
            found = self._eligible[key] = [
                (campaign, creative)
                for campaign in self._campaigns
                if key[0] in campaign.countries and key[4] in campaign.device_types
                for creative in campaign.creatives
                if creative.media_type == key[1]
                and (key[2] == 0 or (creative.width, creative.height) == key[2:4])
            ]
        return found


def floor_micros(placement: Placement, person: Person, exchange: Exchange) -> int:
    """The floor of a placement for this person, a CPM in micros of the exchange's currency."""
    usd = placement.floor_usd * person.country.price_level
    return _price_step(usd / USD_PER_UNIT[exchange.currency])


def _price_step(price: float) -> int:
    """A CPM in micros, in the steps that exchanges trade in."""
    return int(price * behaviour.MICROS / behaviour.PRICE_STEP_MICROS) * behaviour.PRICE_STEP_MICROS


def _highest_competitor(
    rng: Random, placement: Placement, level: float, exchange: Exchange, floor: int
) -> int:
    """The best other bid, at least the floor: what has to be beaten."""
    best = max(
        log_normal(rng, placement.landscape_usd, behaviour.LANDSCAPE_SIGMA)
        for _ in range(rng.randint(1, behaviour.COMPETITORS_MAX))
    )
    return max(floor, _price_step(best * level / USD_PER_UNIT[exchange.currency]))


def _loss(rng: Random) -> Loss:
    return rng.choices((Loss.HIGHER_BID, Loss.DEAL, Loss.EXPIRED), (0.93, 0.05, 0.02))[0]
