"""What follows a won auction: notices, rendering, viewing, clicks, conversions.

Belongs here: which of these happen, when, and their content. Does not belong here: the wire, and
anything that goes wrong on the way to the broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from adx_platform.simulate import behaviour
from adx_platform.simulate.agents import CONNECTED_TV, DEVICE_TYPE_NAMES, PHONE
from adx_platform.simulate.bidding import Bid
from adx_platform.simulate.events import Event
from adx_platform.simulate.inventory import ABOVE_THE_FOLD, Placement, Property
from adx_platform.simulate.population import Person
from adx_platform.simulate.randomness import Weighted, log_normal, new_id
from adx_platform.simulate.world import USD_PER_UNIT, Advertiser

_CONVERSION_TYPES = Weighted(("purchase", "signup", "lead", "app_open"), (0.45, 0.3, 0.15, 0.1))
_WITH_VALUE = "purchase"
_CENT_MICROS = 10_000
_HUNDREDTHS = 10_000


@dataclass(frozen=True, slots=True)
class Offer:
    """One impression offered to us: everything its later events repeat."""

    exchange_id: str
    request_id: str
    imp_id: str
    person: Person
    place: Property
    placement: Placement


@dataclass(frozen=True, slots=True)
class Delivery:
    """An impression that was rendered."""

    offer: Offer
    bid: Bid
    impression_id: str
    rendered_us: int


def personal(rng: Random, person: Person) -> dict[str, Any]:
    """What an event of ``person`` reveals; senders are sometimes untidy with the id."""
    columns = dict(person.revealed)
    if columns["user_key"] and rng.random() < behaviour.UNTIDY_ID_SHARE:
        columns["user_id"] = f" {columns['user_id']} "
    return columns


def notice(
    rng: Random, offer: Offer, bid: Bid, notice_type: str, time_us: int, **content: object
) -> Event:
    """A win, billing or loss notice."""
    event_id = new_id(rng)
    return Event(
        "bid_notice",
        event_id,
        time_us,
        offer.request_id,
        f"notices of {offer.exchange_id}",
        {
            "exchange_id": offer.exchange_id,
            "request_id": offer.request_id,
            "imp_id": offer.imp_id,
            "bid_id": bid.bid_id,
            "campaign_id": bid.campaign.campaign_id,
            "creative_id": bid.creative.creative_id,
            "advertiser_id": bid.campaign.advertiser.advertiser_id,
            "deal_id": bid.deal_id,
            "notice_type": notice_type,
            **content,
        },
    )


def loss_notice(rng: Random, offer: Offer, bid: Bid, time_us: int) -> Event:
    """Why we lost, and what would have won."""
    return notice(
        rng,
        offer,
        bid,
        "loss",
        time_us,
        currency=bid.currency,
        loss_reason=None if bid.loss is None else int(bid.loss),
        min_to_win_cpm_micros=bid.min_to_win_micros,
    )


def priced_notice(rng: Random, offer: Offer, bid: Bid, notice_type: str, time_us: int) -> Event:
    """A win or billing notice at the clearing price."""
    return notice(
        rng,
        offer,
        bid,
        notice_type,
        time_us,
        price_cpm_micros=bid.clearing_micros,
        currency=bid.currency,
    )


def impression_events(rng: Random, delivery: Delivery) -> list[Event]:
    """Rendered, and where it happened measurable and viewable."""
    events = [_impression(rng, delivery, "rendered", delivery.rendered_us)]
    if rng.random() >= behaviour.MEASURABLE_SHARE:
        return events
    viewable = rng.random() < delivery.offer.placement.viewable_share
    half = behaviour.VIEWABLE_PIXELS_PCT
    pixels = rng.uniform(half, 100.0) if viewable else rng.uniform(0.0, half - 1.0)
    measured_us = delivery.rendered_us + rng.randint(50_000, 400_000)
    events.append(
        _impression(
            rng,
            delivery,
            "measurable",
            measured_us,
            pixels_in_view_pct=int(pixels * _HUNDREDTHS) / _HUNDREDTHS,
        )
    )
    if viewable:
        # Display needs one continuous second in view, video two.
        needed_ms = 2_000 if delivery.offer.placement.media_type == "video" else 1_000
        seen_ms = needed_ms + int(
            log_normal(rng, behaviour.IN_VIEW_MS_MEDIAN, behaviour.IN_VIEW_SIGMA)
        )
        events.append(
            _impression(
                rng,
                delivery,
                "viewable",
                measured_us + needed_ms * 1_000,
                pixels_in_view_pct=int(pixels * _HUNDREDTHS) / _HUNDREDTHS,
                time_in_view_ms=seen_ms,
            )
        )
    return events


def _impression(
    rng: Random, delivery: Delivery, event_type: str, time_us: int, **content: object
) -> Event:
    offer, bid = delivery.offer, delivery.bid
    person, place = offer.person, offer.place
    event_id = new_id(rng)
    return Event(
        "ad_impression",
        event_id,
        time_us,
        delivery.impression_id,
        f"tag of {place.publisher.publisher_id}",
        {
            "event_type": event_type,
            "impression_id": delivery.impression_id,
            "exchange_id": offer.exchange_id,
            "request_id": offer.request_id,
            "imp_id": offer.imp_id,
            "bid_id": bid.bid_id,
            "campaign_id": bid.campaign.campaign_id,
            "creative_id": bid.creative.creative_id,
            "advertiser_id": bid.campaign.advertiser.advertiser_id,
            "publisher_id": place.publisher.publisher_id,
            "site_domain": place.site_domain,
            "app_bundle": place.app_bundle,
            "placement_id": offer.placement.placement_id,
            "geo_country": person.country.code,
            "geo_region": person.place[0],
            **content,
            **personal(rng, person),
            "device_type": DEVICE_TYPE_NAMES[person.device.device_type],
            "os": person.device.os,
        },
    )


def click_rate(delivery: Delivery) -> float:
    """Probability that this impression is clicked."""
    person, placement = delivery.offer.person, delivery.offer.placement
    if person.is_robot:
        return behaviour.BOT_CLICK_RATE
    rate = behaviour.CLICK_RATE[placement.media_type]
    if placement.position != ABOVE_THE_FOLD:
        rate *= behaviour.CLICK_RATE_BELOW_FOLD
    if person.device.device_type == PHONE:
        rate *= behaviour.CLICK_RATE_MOBILE
    elif person.device.device_type == CONNECTED_TV:
        rate *= behaviour.CLICK_RATE_CTV
    return rate


def click(rng: Random, delivery: Delivery) -> Event:
    """A click some seconds to minutes after the impression."""
    delay = log_normal(rng, behaviour.CLICK_DELAY_SECONDS_MEDIAN, behaviour.CLICK_DELAY_SIGMA)
    advertiser = delivery.bid.campaign.advertiser
    person = delivery.offer.person
    click_id = new_id(rng)
    event_id = new_id(rng)
    return Event(
        "click",
        event_id,
        delivery.rendered_us + int((0.3 + delay) * behaviour.SECOND_US),
        person.sent_id or click_id,
        f"clicks of {advertiser.advertiser_id}",
        {
            "click_id": click_id,
            "impression_id": delivery.impression_id,
            "advertiser_id": advertiser.advertiser_id,
            "campaign_id": delivery.bid.campaign.campaign_id,
            "landing_page": _landing_page(advertiser),
            **personal(rng, person),
        },
    )


def _landing_page(advertiser: Advertiser) -> str:
    name = advertiser.name.lower().replace(" ", "-")
    return f"https://www.{name}.example/offers?utm_medium=display"


def conversion(
    rng: Random,
    person: Person,
    advertiser: Advertiser,
    time_us: int,
    *,
    cause: str,
    click_id: str | None = None,
    impression_id: str | None = None,
) -> Event:
    """An order or another goal at the advertiser's.

    Args:
        rng: the market's generator.
        person: who converts.
        advertiser: at whose site.
        time_us: when, in microseconds since the epoch.
        cause: click, view or organic; known to the truth only.
        click_id: the click that led there, which the tag may know.
        impression_id: the impression that led there, likewise.
    """
    conversion_type = _CONVERSION_TYPES.draw(rng)
    value = currency = None
    if conversion_type == _WITH_VALUE:
        currency = advertiser.currency
        amount = (
            log_normal(rng, behaviour.ORDER_USD_MEDIAN, behaviour.ORDER_USD_SIGMA)
            * advertiser.appeal
            / USD_PER_UNIT[currency]
        )
        value = (int(amount * behaviour.MICROS) // _CENT_MICROS + 1) * _CENT_MICROS
    columns = personal(rng, person)
    if rng.random() < behaviour.CONVERSION_WITHOUT_USER_SHARE:
        columns["user_id"] = columns["user_key"] = None
    keeps = rng.random() < behaviour.CONVERSION_KEEPS_IMPRESSION_SHARE
    order_id = f"{advertiser.advertiser_id}-{rng.getrandbits(40):010x}"
    event_id = new_id(rng)
    return Event(
        "conversion",
        event_id,
        time_us,
        columns["user_id"] or order_id,
        f"orders of {advertiser.advertiser_id}",
        {
            "click_id": click_id if keeps else None,
            "impression_id": impression_id if keeps else None,
            "advertiser_id": advertiser.advertiser_id,
            "order_id": order_id,
            "conversion_type": conversion_type,
            "value_micros": value,
            "currency": currency,
            "cause": cause,
            **columns,
        },
    )
