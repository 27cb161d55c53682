"""The market as it runs: one browsing session after another, each with all that follows from it.

Belongs here: the order of things and what is carried from hour to hour (budgets, caps, ids in use).
A caller takes as many sessions of an hour as it wants and goes on to the next, so the same market
can fill a file or run beside a clock. Does not belong here: bytes, faults, files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

from adx_platform.simulate import behaviour, outcomes
from adx_platform.simulate.agents import DEVICE_TYPE_NAMES
from adx_platform.simulate.bidding import Bid, Bidder, NoBid, floor_micros
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.events import Event
from adx_platform.simulate.inventory import Inventory, Placement, Property
from adx_platform.simulate.openrtb import RequestWriter
from adx_platform.simulate.outcomes import Delivery, Offer
from adx_platform.simulate.population import Person, Population
from adx_platform.simulate.randomness import generator, log_normal, new_id, of_generation
from adx_platform.simulate.seasonality import Hour
from adx_platform.simulate.world import World

_RECENT_IDS = 4_000
_SAME_EXCHANGE_AFTER_US = int(
    behaviour.REPEATED_ID_SAME_EXCHANGE_AFTER.total_seconds() * behaviour.SECOND_US
)


class Market:
    """A running market; state moves forward in time only."""

    def __init__(
        self,
        config: MarketConfig,
        world: World,
        *,
        population: Population | None = None,
        generation: int = 0,
    ) -> None:
        """Open the market.

        Args:
            config: the market.
            world: its business side.
            population: who browses; absent: as many as the configuration's messages need.
            generation: 0, 1, ...: each has ids and draws of its own over the same world.
        """
        self._rng = generator(config.seed, of_generation("market", generation))
        self._end_us = int(config.end.timestamp()) * behaviour.SECOND_US
        self._world = world
        self._population = population or Population(config)
        self._inventory = Inventory(config, world)
        self._bidder = Bidder(world)
        self.requests = RequestWriter()
        # Ids that may be seen again: an OpenRTB id is unique neither in time nor across exchanges.
        self._recent: deque[tuple[str, str, int]] = deque(maxlen=_RECENT_IDS)

    def sessions(self, hour: Hour) -> Iterator[list[Event]]:
        """Browsing sessions that begin in ``hour``, without end.

        Yields:
            The events of a session in no particular order of time, those at or after the end of the
            simulated time left out.
        """
        self._bidder.begin_hour(hour.start)
        while True:
            events = self._session(hour)
            yield [event for event in events if event.time_us < self._end_us]

    def _session(self, hour: Hour) -> list[Event]:
        rng = self._rng
        if rng.random() < behaviour.BOT_SESSION_SHARE:
            person = self._population.robot(rng)
        else:
            person = self._population.person(rng, hour.countries.draw(rng))
        events: list[Event] = []
        time_us = hour.start_us + rng.randrange(behaviour.HOUR_US)
        place = self._inventory.property_for(rng, person)
        while True:
            self._page_view(events, person, place, time_us)
            if rng.random() >= behaviour.SESSION_CONTINUES:
                break
            pause = log_normal(rng, behaviour.PAGE_SECONDS_MEDIAN, behaviour.PAGE_SECONDS_SIGMA)
            time_us += int((1.0 + pause) * behaviour.SECOND_US)
        if not person.is_robot and rng.random() < behaviour.ORGANIC_PER_SESSION:
            advertiser = rng.choice(self._world.advertisers)
            at_us = time_us + rng.randrange(behaviour.HOUR_US)
            events.append(outcomes.conversion(rng, person, advertiser, at_us, cause="organic"))
        return events

    def _page_view(
        self, events: list[Event], person: Person, place: Property, time_us: int
    ) -> None:
        """One bid request and everything that comes of it."""
        rng = self._rng
        exchange = place.publisher.exchange
        placements = _offered(rng, place)
        is_test = rng.random() < behaviour.TEST_SHARE
        imps: list[dict[str, Any]] = [
            {
                "imp_id": str(number),
                "media_type": placement.media_type,
                "width": placement.width if placement.media_type != "native" else None,
                "height": placement.height if placement.media_type != "native" else None,
                "floor_cpm_micros": floor_micros(placement, person, exchange),
                "floor_currency": exchange.currency,
                "placement_id": placement.placement_id,
                "deal_count": int(rng.random() < behaviour.DEAL_SHARE),
            }
            for number, placement in enumerate(placements, start=1)
        ]
        request_id = self._request_id(exchange.exchange_id, time_us)
        request = self._request(
            person=person,
            place=place,
            time_us=time_us,
            request_id=request_id,
            imps=imps,
            placements=placements,
            is_test=is_test,
        )
        events.append(request)
        for imp, placement in zip(imps, placements, strict=True):
            if rng.random() < behaviour.TIME_OUT_SHARE:
                continue
            offer = Offer(exchange.exchange_id, request_id, imp["imp_id"], person, place, placement)
            self._answer(events, request, offer, imp, is_test=is_test)

    def _request(
        self,
        *,
        person: Person,
        place: Property,
        time_us: int,
        request_id: str,
        imps: list[dict[str, Any]],
        placements: list[Placement],
        is_test: bool,
    ) -> Event:
        exchange = place.publisher.exchange
        openrtb = self.requests.openrtb(
            self._rng,
            request_id=request_id,
            person=person,
            place=place,
            imps=imps,
            placements=placements,
            is_test=is_test,
        )
        return Event(
            "bid_request",
            new_id(self._rng),
            time_us,
            request_id,
            f"requests of {exchange.exchange_id}",
            {
                "exchange_id": exchange.exchange_id,
                "request_id": request_id,
                "auction_type": exchange.openrtb_auction_type,
                "tmax_ms": openrtb["tmax"],
                "is_test": is_test,
                "imp_count": len(imps),
                "imps": imps,
                "channel": place.channel,
                "publisher_id": place.publisher.publisher_id,
                "site_domain": place.site_domain,
                "app_bundle": place.app_bundle,
                "geo_country": person.country.code,
                "geo_region": person.place[0],
                **person.revealed,
                "device_type": DEVICE_TYPE_NAMES[person.device.device_type],
                "os": person.device.os,
            },
            openrtb,
        )

    def _request_id(self, exchange_id: str, time_us: int) -> str:
        """Usually a new id; now and then one that was used before, long ago or elsewhere."""
        rng = self._rng
        if self._recent and rng.random() < behaviour.REPEATED_REQUEST_ID_SHARE:
            position = rng.randrange(len(self._recent))
            used, where, when_us = self._recent[position]
            if where != exchange_id or time_us - when_us > _SAME_EXCHANGE_AFTER_US:
                # Once only: a third use could be close in time to the second.
                del self._recent[position]
                return used
        request_id = new_id(rng)
        self._recent.append((request_id, exchange_id, time_us))
        return request_id

    def _answer(
        self,
        events: list[Event],
        request: Event,
        offer: Offer,
        imp: dict[str, Any],
        *,
        is_test: bool,
    ) -> None:
        """Our response for one impression, the auction, and what follows a win."""
        rng = self._rng
        latency_ms = int(
            1 + log_normal(rng, behaviour.LATENCY_MS_MEDIAN, behaviour.LATENCY_MS_SIGMA)
        )
        decision: Bid | NoBid = NoBid.INVALID_REQUEST
        if not is_test:
            decision = self._bidder.decide(
                rng,
                bid_id=new_id(rng),
                person=offer.person,
                placement=offer.placement,
                exchange=offer.place.publisher.exchange,
                floor_micros=imp["floor_cpm_micros"],
                has_deal=bool(imp["deal_count"]),
            )
        answered_us = request.time_us + latency_ms * 1_000
        events.append(_response(rng, request, offer, decision, latency_ms))
        if isinstance(decision, NoBid):
            return
        decided_us = answered_us + rng.randint(20_000, 180_000)
        if not decision.is_won:
            if rng.random() < behaviour.LOSS_NOTICE_SHARE:
                events.append(outcomes.loss_notice(rng, offer, decision, decided_us))
            return
        if rng.random() >= behaviour.WIN_NOTICE_LOST_SHARE:
            events.append(outcomes.priced_notice(rng, offer, decision, "win", decided_us))
        if rng.random() >= behaviour.NOT_RENDERED_SHARE:
            self._deliver(events, offer, decision, decided_us)

    def _deliver(self, events: list[Event], offer: Offer, bid: Bid, decided_us: int) -> None:
        """Rendering, billing, viewing, and the clicks and conversions that come of them."""
        rng = self._rng
        delay = log_normal(rng, behaviour.RENDER_DELAY_SECONDS_MEDIAN, behaviour.RENDER_DELAY_SIGMA)
        delivery = Delivery(offer, bid, new_id(rng), decided_us + int(delay * behaviour.SECOND_US))
        person, campaign = offer.person, bid.campaign
        self._bidder.note_shown(person, campaign)
        if rng.random() >= behaviour.NOT_BILLED_SHARE:
            billed_us = delivery.rendered_us + rng.randint(5_000, 120_000)
            events.append(outcomes.priced_notice(rng, offer, bid, "billing", billed_us))
            self._bidder.note_spend(campaign, bid.clearing_micros, bid.currency)
        if person.is_robot and rng.random() >= behaviour.BOT_RENDER_SHARE:
            # A robot that runs no scripts: billed by the exchange, but no tag ever fired.
            return
        events.extend(outcomes.impression_events(rng, delivery))
        clicked: Event | None = None
        if rng.random() < outcomes.click_rate(delivery):
            clicked = outcomes.click(rng, delivery)
            events.append(clicked)
        if not person.is_robot:
            self._convert(events, delivery, clicked)

    def _convert(self, events: list[Event], delivery: Delivery, clicked: Event | None) -> None:
        rng = self._rng
        if clicked is not None:
            rate, cause, from_us = behaviour.POST_CLICK_RATE, "click", clicked.time_us
            hours = log_normal(rng, behaviour.POST_CLICK_HOURS_MEDIAN, behaviour.POST_CLICK_SIGMA)
        else:
            rate, cause, from_us = behaviour.POST_VIEW_RATE, "view", delivery.rendered_us
            hours = log_normal(rng, behaviour.POST_VIEW_HOURS_MEDIAN, behaviour.POST_VIEW_SIGMA)
        if rng.random() >= rate:
            return
        events.append(
            outcomes.conversion(
                rng,
                delivery.offer.person,
                delivery.bid.campaign.advertiser,
                from_us + int(hours * behaviour.HOUR_US),
                cause=cause,
                click_id=None if clicked is None else clicked.fields["click_id"],
                impression_id=delivery.impression_id,
            )
        )


def _offered(rng: Random, place: Property) -> list[Placement]:
    """The slots of one page view: mostly one, sometimes two or three different ones."""
    draw = rng.random()
    wanted = 1
    if draw < behaviour.THIRD_IMP_SHARE:
        wanted = 3
    elif draw < behaviour.THIRD_IMP_SHARE + behaviour.SECOND_IMP_SHARE:
        wanted = 2
    return rng.sample(place.placements, min(wanted, len(place.placements)))


def _response(
    rng: Random,
    request: Event,
    offer: Offer,
    decision: Bid | NoBid,
    latency_ms: int,
) -> Event:
    fields: dict[str, Any] = {
        "exchange_id": offer.exchange_id,
        "request_id": offer.request_id,
        "imp_id": offer.imp_id,
        "latency_ms": latency_ms,
        "request_event_id": request.event_id,
    }
    if isinstance(decision, NoBid):
        fields["no_bid_reason"] = int(decision)
    else:
        fields.update(
            bid_id=decision.bid_id,
            campaign_id=decision.campaign.campaign_id,
            creative_id=decision.creative.creative_id,
            advertiser_id=decision.campaign.advertiser.advertiser_id,
            deal_id=decision.deal_id,
            price_cpm_micros=decision.price_micros,
            currency=decision.currency,
        )
    return Event(
        "bid_response",
        new_id(rng),
        request.time_us + latency_ms * 1_000,
        offer.request_id,
        f"responses to {offer.exchange_id}",
        fields,
    )
