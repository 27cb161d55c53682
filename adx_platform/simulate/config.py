"""What can be asked of the simulator, and what it reports.

Belongs here: the configuration of one run and its result. Does not belong here: the behaviour of
users and auctions (``behaviour``), which is a model and not a choice of the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adx_platform.settings import RefineSettings

SMALLEST_RUN = 1_000
"""Below this many messages one browsing session is more than the promised 3 % of the target."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often each fault happens, as a share of the market's events (0 to 1).

    ``malformed`` and ``malformed_replacing`` are rates over all topics; the CSV and JSON topics get
    more of it than the Avro topic.
    ``skew`` is a clock that is wrong by less than the accepted tolerance; ``future`` and
    ``too_old`` are clocks wrong beyond it. ``malformed`` are broken extra copies of a message,
    while ``malformed_replacing`` are broken messages whose good original was never sent.
    ``evolved_producers`` is the share of producers that send a newer contract after
    ``evolved_from`` (a share of the simulated time).
    """

    duplicate: float = 0.02
    conflict: float = 0.003
    late: float = 0.02
    malformed: float = 0.006
    malformed_replacing: float = 0.001
    skew: float = 0.004
    future: float = 0.0008
    too_old: float = 0.0006
    evolved_producers: float = 0.4
    evolved_from: float = 0.5

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"fault rate {item.name} must be from 0 to 1, got {value}")

    @classmethod
    def none(cls) -> FaultRates:
        """A market in which every message arrives once, whole and on time."""
        return cls(**{item.name: 0.0 for item in fields(cls)})


@dataclass(frozen=True, slots=True)
class MarketConfig:
    """One simulated market. The same configuration gives the same bytes in every output file.

    Attributes:
        seed: any integer.
        events: target number of messages over the three topics; met within 3 %.
        start: first simulated instant, timezone-aware; converted to UTC.
        days: simulated days.
        faults: rates of everything that goes wrong between a producer and the broker.
        partitions_per_topic: partitions that messages are spread over, by key.
        bounds: the time bounds of the platform under test, which say what is late, in the future or
            too old.
    """

    seed: int = 20260302
    events: int = 200_000
    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    days: int = 3
    faults: FaultRates = field(default_factory=FaultRates)
    partitions_per_topic: int = 4
    bounds: RefineSettings = field(default_factory=RefineSettings)

    def __post_init__(self) -> None:
        if self.events < SMALLEST_RUN:
            raise ValueError(f"events must be at least {SMALLEST_RUN}, got {self.events}")
        if self.days < 1:
            raise ValueError(f"days must be at least 1, got {self.days}")
        if self.partitions_per_topic < 1:
            raise ValueError(
                f"partitions_per_topic must be at least 1, got {self.partitions_per_topic}"
            )
        if self.start.tzinfo is None:
            raise ValueError("start must carry a time zone, for example datetime(..., tzinfo=UTC)")
        object.__setattr__(self, "start", self.start.astimezone(UTC))

    @property
    def end(self) -> datetime:
        """The instant at which the simulation stops; no message is sent at or after it."""
        return self.start + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What a run wrote.

    Attributes:
        out_dir: folder with ``reference/``, ``wire/`` and ``truth/``.
        messages: messages per topic, faults included.
        record_types: messages per record type, faults included.
        dispositions: expected final dispositions.
        reasons: expected reject reasons.
        faults: messages per kind of fault.
        late: messages that are late at the broker and not rejected.
    """

    out_dir: Path
    messages: Mapping[str, int]
    record_types: Mapping[str, int]
    dispositions: Mapping[str, int]
    reasons: Mapping[str, int]
    faults: Mapping[str, int]
    late: int

    @property
    def total(self) -> int:
        """Messages over all topics."""
        return sum(self.messages.values())
