"""What is for sale: sites and apps with placements, some of them far more popular than others.

Belongs here: drawing the placements of every publisher. Does not belong here: what is bid for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from adx_platform.simulate import behaviour
from adx_platform.simulate.agents import CONNECTED_TV
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.population import Person
from adx_platform.simulate.randomness import Weighted, generator, log_normal, zipf_weights
from adx_platform.simulate.world import MediaType, Publisher, World

Kind = Literal["site", "app", "tv"]

ABOVE_THE_FOLD, BELOW_THE_FOLD = 1, 3
MEDIA_PRICE = {"banner": 1.0, "native": 2.1, "video": 4.0}
_TV_PRICE = 1.8
_KIND_CYCLE: tuple[Kind, ...] = ("site", "site", "app", "site", "app", "site", "tv")
_BANNERS = {
    "site": ((300, 250), (728, 90), (160, 600), (300, 600)),
    "app": ((320, 50), (300, 250)),
}
_MEDIA: dict[Kind, tuple[tuple[MediaType, ...], tuple[float, ...]]] = {
    "site": (("banner", "native", "video"), (0.68, 0.18, 0.14)),
    "app": (("banner", "native", "video"), (0.60, 0.18, 0.22)),
    "tv": (("video",), (1.0,)),
}
_CATEGORIES = ("IAB1", "IAB2", "IAB7", "IAB9", "IAB10", "IAB12", "IAB17", "IAB19", "IAB20")
_PAGES = ("", "news/latest", "features/weekend", "guides/getting-started", "archive/2026/03")


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """One ad slot. ``landscape_usd`` is the median competing bid, a CPM."""

    placement_id: str
    media_type: MediaType
    width: int
    height: int
    position: int
    floor_usd: float
    landscape_usd: float
    viewable_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Property:
    """A site or an app of a publisher."""

    publisher: Publisher
    kind: Kind
    placements: tuple[Placement, ...]
    category: str
    pages: tuple[str, ...]
    bundle: str
    fragments: dict[str, bytes] = field(default_factory=dict)

    @property
    def channel(self) -> str:
        """Which OpenRTB object describes it."""
        return "site" if self.kind == "site" else "app"

    @property
    def site_domain(self) -> str | None:
        """Domain of a site."""
        return self.publisher.domain if self.kind == "site" else None

    @property
    def app_bundle(self) -> str | None:
        """Bundle of an app."""
        return None if self.kind == "site" else self.bundle


class Inventory:
    """All properties, drawn in proportion to their popularity."""

    def __init__(self, config: MarketConfig, world: World) -> None:
        rng = generator(config.seed, "inventory")
        weights = zipf_weights(len(world.publishers), behaviour.PUBLISHER_ZIPF)
        pools: dict[Kind, tuple[list[Property], list[float]]] = {
            "site": ([], []),
            "app": ([], []),
            "tv": ([], []),
        }
        for index, publisher in enumerate(world.publishers):
            kind = _KIND_CYCLE[index % len(_KIND_CYCLE)]
            pools[kind][0].append(_property(rng, publisher, kind))
            pools[kind][1].append(weights[index])
        self._pools = {kind: Weighted(*pool) for kind, pool in pools.items()}

    def property_for(self, rng: Random, person: Person) -> Property:
        """Where ``person`` goes next."""
        if not person.in_app:
            return self._pools["site"].draw(rng)
        kind: Kind = "tv" if person.device.device_type == CONNECTED_TV else "app"
        return self._pools[kind].draw(rng)


def _property(rng: Random, publisher: Publisher, kind: Kind) -> Property:
    name = publisher.domain.split(".", maxsplit=1)[0]
    return Property(
        publisher=publisher,
        kind=kind,
        placements=tuple(
            _placement(rng, f"{publisher.publisher_id}-{number}", kind)
            for number in range(1, rng.randint(2, 5))
        ),
        category=rng.choice(_CATEGORIES),
        pages=tuple(f"https://www.{publisher.domain}/{page}" for page in _PAGES),
        bundle=f"example.{name}.{kind}",
    )


def _placement(rng: Random, placement_id: str, kind: Kind) -> Placement:
    names, shares = _MEDIA[kind]
    media_type = rng.choices(names, shares)[0]
    if media_type == "banner":
        width, height = rng.choice(_BANNERS[kind])
    elif media_type == "native":
        width, height = 1200, 627
    else:
        width, height = (1920, 1080) if kind == "tv" else (640, 360)
    above = rng.random() < 0.55  # noqa: PLR2004 - slightly more than half of the slots
    landscape = log_normal(rng, 1.5, 0.35) * MEDIA_PRICE[media_type]
    if kind == "tv":
        landscape *= _TV_PRICE
    return Placement(
        placement_id=placement_id,
        media_type=media_type,
        width=width,
        height=height,
        position=ABOVE_THE_FOLD if above else BELOW_THE_FOLD,
        floor_usd=landscape * rng.uniform(0.25, 0.6),
        landscape_usd=landscape,
        viewable_share=min(0.95, rng.uniform(0.55, 0.85) + (0.12 if above else -0.15)),
    )
