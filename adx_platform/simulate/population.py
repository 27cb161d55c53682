"""Who browses: people with devices and habits, and robots.

Belongs here: drawing them and what they reveal of themselves in a message. Does not belong here:
when they come (``seasonality``) and what they do (``outcomes``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from itertools import count
from random import Random
from typing import Any

from adx_platform.simulate import agents, behaviour
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.geography import COUNTRIES, DATA_CENTRE_RANGES, Country
from adx_platform.simulate.randomness import Weighted, generator, new_id, zipf_weights

ZERO_ID = "00000000-0000-0000-0000-000000000000"
CONSENT_STRING = (
    "CQLhZkAQLhZkAAGABCENBXFgAP_gAEPgAAqIKXtX_G__bWlr8X73aftkeY1P9_h77sQxBhfJE.YAAAAAAA"
)

_RFC6598 = ip_network("100.64.0.0/10")
_DOCUMENTATION_V6 = 0x20010DB8 << 96


@dataclass(slots=True, eq=False)
class Person:
    """Someone who browses; a robot if ``givt_reason`` is set.

    Attributes:
        number: identity in the population.
        country: where they are.
        place: region, city, latitude, longitude.
        device: what they use; of a robot: what it claims.
        user_agent: as sent.
        in_app: uses apps rather than sites.
        id_kind: which OpenRTB member carries the id: ``buyeruid``, ``ifa``, ``id`` or none.
        sent_id: the id as their device sends it.
        revealed: content columns that every event of theirs shares.
        fragments: their encoded OpenRTB objects, filled by ``openrtb`` on first use.
    """

    number: int
    country: Country
    place: tuple[str, str, float, float]
    device: agents.DeviceModel
    user_agent: str | None
    in_app: bool
    id_kind: str | None
    sent_id: str | None
    givt_reason: str | None
    revealed: dict[str, Any]
    fragments: dict[str, bytes] = field(default_factory=dict)

    @property
    def is_robot(self) -> bool:
        """Whether this is general invalid traffic."""
        return self.givt_reason is not None

    @property
    def ip(self) -> str:
        """The address, IPv4 or IPv6."""
        return str(self.revealed["ip"])

    @property
    def has_consent(self) -> bool:
        """Whether their events may be joined by user."""
        return bool(self.revealed["has_consent"])


class Population:
    """Everybody, ready to be drawn from."""

    def __init__(self, config: MarketConfig) -> None:
        rng = generator(config.seed, "population")
        total = max(300, config.events // behaviour.MESSAGES_PER_USER)
        devices = Weighted(agents.DEVICE_MODELS, [model.share for model in agents.DEVICE_MODELS])
        numbers = count()
        self._people: dict[str, Weighted[Person]] = {}
        for index, country in enumerate(COUNTRIES):
            size = max(5, round(total * country.share))
            people = [
                _person(rng, next(numbers), country, index, devices.draw(rng)) for _ in range(size)
            ]
            self._people[country.code] = Weighted(people, zipf_weights(size, behaviour.USER_ZIPF))
        kinds = Weighted(
            [kind for kind, _ in behaviour.BOT_KINDS], [share for _, share in behaviour.BOT_KINDS]
        )
        self._robots = [
            _robot(rng, next(numbers), devices.draw(rng), kinds.draw(rng))
            for _ in range(behaviour.BOT_POOL)
        ]

    def person(self, rng: Random, country: Country) -> Person:
        """Somebody of ``country``; active people come more often."""
        return self._people[country.code].draw(rng)

    def robot(self, rng: Random) -> Person:
        """One of the robots."""
        return rng.choice(self._robots)


def _person(
    rng: Random, number: int, country: Country, index: int, device: agents.DeviceModel
) -> Person:
    portable = device.device_type in {agents.PHONE, agents.TABLET}
    in_app = device.device_type == agents.CONNECTED_TV or (
        portable and rng.random() < behaviour.APP_SHARE_OF_MOBILE
    )
    agent = device.app_user_agent if in_app and device.app_user_agent else device.user_agent
    id_kind, sent_id, user_key = _identity(rng, device, in_app=in_app)
    gdpr_applies, consent = _consent(rng, country)
    has_consent = consent if consent is not None else not gdpr_applies
    if not has_consent and rng.random() < behaviour.ID_WITHHELD_WITHOUT_CONSENT:
        id_kind = sent_id = user_key = None
    return Person(
        number=number,
        country=country,
        place=rng.choice(country.places),
        device=device,
        user_agent=agent,
        in_app=in_app,
        id_kind=id_kind,
        sent_id=sent_id,
        givt_reason=None,
        revealed=_revealed(
            user_id=sent_id,
            user_key=user_key,
            ip=_home_address(rng, index),
            user_agent=agent,
            gdpr_applies=gdpr_applies,
            consent=consent,
            givt_reason=None,
        ),
    )


def _robot(rng: Random, number: int, device: agents.DeviceModel, kind: str) -> Person:
    country = COUNTRIES[0]
    agent: str | None = device.user_agent
    address = _home_address(rng, 0)
    if kind == "user_agent":
        agent = rng.choice(agents.CRAWLER_AGENTS)
    elif kind == "non_browser":
        agent = rng.choice(agents.TOOL_AGENTS)
    else:
        address = _data_centre_address(rng)
    keeps_cookie = rng.random() < behaviour.CONSENT_SHARE
    cookie = new_id(rng) if keeps_cookie else None
    return Person(
        number=number,
        country=country,
        place=rng.choice(country.places),
        device=device,
        user_agent=agent,
        in_app=False,
        id_kind="buyeruid" if cookie else None,
        sent_id=cookie,
        givt_reason=kind,
        revealed=_revealed(
            user_id=cookie,
            user_key=cookie,
            ip=address,
            user_agent=agent,
            gdpr_applies=False,
            consent=None,
            givt_reason=kind,
        ),
    )


def _revealed(
    *,
    user_id: str | None,
    user_key: str | None,
    ip: str,
    user_agent: str | None,
    gdpr_applies: bool | None,
    consent: bool | None,
    givt_reason: str | None,
) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "user_key": user_key,
        "ip": ip,
        "user_agent": user_agent,
        "gdpr_applies": gdpr_applies,
        "consent": consent,
        "has_consent": consent if consent is not None else not gdpr_applies,
        "is_givt": givt_reason is not None,
        "givt_reason": givt_reason,
    }


def _identity(
    rng: Random, device: agents.DeviceModel, *, in_app: bool
) -> tuple[str | None, str | None, str | None]:
    """Member that carries the id, the id as sent, the id after normalisation."""
    draw = rng.random()
    if draw < behaviour.NO_ID_SHARE:
        return None, None, None
    member = "ifa" if in_app else "buyeruid"
    if draw < behaviour.NO_ID_SHARE + behaviour.ZERO_ID_SHARE:
        # Limit ad tracking: the system sends zeros instead of an id.
        return member, ZERO_ID, None
    if not in_app and draw > 1.0 - behaviour.FIRST_PARTY_SHARE:
        # Not a UUID: its letter case is part of the id.
        own = f"fp-{rng.getrandbits(64):016X}{rng.choice('abcdefgh')}"
        return "id", own, own
    key = new_id(rng)
    # Apple devices send their advertising id in capitals.
    return member, key.upper() if in_app and device.make == "Apple" else key, key


def _consent(rng: Random, country: Country) -> tuple[bool | None, bool | None]:
    """What the sender says about the GDPR, and about consent."""
    if country.gdpr:
        return True, rng.random() < behaviour.CONSENT_SHARE
    return (False if rng.random() < behaviour.CONSENT_SHARE else None), None


def _home_address(rng: Random, country_index: int) -> str:
    """An address in space that no one routes; each country has blocks of its own."""
    if rng.random() < behaviour.IPV6_SHARE:
        block = (0x0100 + country_index) << 80
        # The data-centre ranges lie in 2001:db8:dc00::/40, outside every country's block.
        host = rng.getrandbits(80)
        return str(IPv6Network((_DOCUMENTATION_V6 | block | host, 128)).network_address)
    offset = country_index << 18 | rng.getrandbits(18)
    return str(IPv4Address(int(_RFC6598.network_address) + offset))


def _data_centre_address(rng: Random) -> str:
    network = ip_network(rng.choice(DATA_CENTRE_RANGES)[0])
    size = 64 if isinstance(network, IPv4Network) else 2**40
    return str(network[rng.randrange(1, size)])
