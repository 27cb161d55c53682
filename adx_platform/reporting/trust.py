"""How far the figures can be trusted: one verdict, and what it rests on.

Belongs here: gathering conservation, freshness, rejects and incidents, and judging them as a whole.
Does not belong here: recounting (``quality``), the incidents' life (``quality.incidents``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from pydantic import SecretStr

from adx_platform.quality.incidents.model import Incident, Severity, State
from adx_platform.quality.incidents.store import IncidentStore
from adx_platform.quality.metrics import Query
from adx_platform.reporting.stages import Conservation, StreamStages

Verdict = Literal["good", "attention", "bad"]

_COUNTS_SQL = """
select
    stream,
    sum(committed_offsets)::bigint as offsets,
    sum(accepted)::bigint as accepted,
    sum(rejected)::bigint as rejected,
    sum(duplicate)::bigint as duplicates,
    sum(conflict)::bigint as conflicts,
    sum(absent)::bigint as absent,
    sum(lost)::bigint as lost
from marts.conservation_offsets
group by 1
"""
_LATE_SQL = """
select stream, sum(late)::bigint as late from marts.agg_arrivals_hourly group by 1
"""
_REJECTS_SQL = """
select stream, reason_code, sum(rejected)::bigint as messages, max(last_seen_at) as last_seen_at
from marts.agg_rejects_hourly
group by 1, 2
order by 3 desc, 1, 2
"""


@dataclass(frozen=True, slots=True)
class StreamTrust:
    """What became of one stream's messages, as the published marts have them.

    Attributes:
        stream: its name.
        offsets: offsets that the marts account for.
        accepted: events that count.
        rejected: messages refused.
        duplicates: further copies with the same payload.
        conflicts: further copies with another payload.
        late: accepted, but older at the broker than allowed.
        absent: offsets that are no messages.
        lost: offsets that the broker had dropped before they were read.
        newest_event_time: of the accepted events in the lake.
        newest_message_time: the broker's timestamp of the newest message in the lake.
    """

    stream: str
    offsets: int
    accepted: int
    rejected: int
    duplicates: int
    conflicts: int
    late: int
    absent: int
    lost: int
    newest_event_time: datetime | None
    newest_message_time: datetime | None

    @property
    def reject_share(self) -> float | None:
        """Rejected of all messages."""
        messages = self.accepted + self.rejected + self.duplicates + self.conflicts
        return self.rejected / messages if messages else None


@dataclass(frozen=True, slots=True)
class RejectReason:
    """Messages of one stream that were refused for one reason."""

    stream: str
    reason_code: str
    messages: int
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trust:
    """Everything that the verdict rests on.

    Attributes:
        conservation: the recount of lake and marts.
        tail_offsets: so many of the newest offsets of each partition were recounted; None: all.
        streams: what became of each stream's messages.
        rejects: by reason, the most frequent first.
        incidents: those that last, the newest first; None: no incident database is there.
    """

    conservation: Conservation
    tail_offsets: int | None
    streams: tuple[StreamTrust, ...]
    rejects: tuple[RejectReason, ...]
    incidents: tuple[Incident, ...] | None

    @property
    def offsets(self) -> int:
        """Offsets that the marts account for."""
        return sum(stream.offsets for stream in self.streams)

    @property
    def lost(self) -> int:
        """Offsets that were never read."""
        return sum(stream.lost for stream in self.streams)

    @property
    def failing_checks(self) -> tuple[str, ...]:
        """Checks of lasting incidents that fail now, each once."""
        keys = {key for incident in self.incidents or () for key in incident.failing}
        return tuple(sorted(keys))

    @property
    def verdict(self) -> Verdict:
        """The worst of what is known."""
        if not self.conservation.holds or any(map(_is_bad, self.incidents or ())):
            return "bad"
        return "attention" if self.incidents or self.lost else "good"

    @property
    def sentences(self) -> tuple[str, ...]:
        """Why the verdict is not better; empty if it is good."""
        found = []
        if not self.conservation.equations:
            found.append("Conservation is not proven: there is nothing to count yet.")
        elif not self.conservation.holds:
            found.append(f"Conservation is broken in {len(self.conservation.broken)} places.")
        if self.lost:
            found.append(f"{self.lost:,} offsets were dropped by the broker before they were read.")
        bad = [incident.incident_id for incident in self.incidents or () if _is_bad(incident)]
        if bad:
            found.append(f"Wrong or missing data, or mending was given up: {', '.join(bad)}.")
        elif self.incidents:
            found.append(f"Warnings that last: {len(self.incidents)}, mended or watched.")
        return tuple(found)


def _is_bad(incident: Incident) -> bool:
    return incident.severity is Severity.ERROR or incident.state is State.ESCALATED


def read_trust(
    query: Query,
    *,
    stages: Iterable[StreamStages],
    conservation: Conservation,
    tail_offsets: int | None,
    incidents: tuple[Incident, ...] | None,
) -> Trust:
    """Put together what the marts, the recount of the lake and the incidents say."""
    counts = {row.pop("stream"): row for row in query(_COUNTS_SQL).iter_rows(named=True)}
    late = dict(query(_LATE_SQL).iter_rows())
    return Trust(
        conservation=conservation,
        tail_offsets=tail_offsets,
        streams=tuple(_stream(stage, counts.get(stage.stream, {}), late) for stage in stages),
        rejects=tuple(RejectReason(**row) for row in query(_REJECTS_SQL).iter_rows(named=True)),
        incidents=incidents,
    )


_COUNTS = ("offsets", "accepted", "rejected", "duplicates", "conflicts", "absent", "lost")


def _stream(stage: StreamStages, counts: Mapping[str, int], late: Mapping[str, int]) -> StreamTrust:
    return StreamTrust(
        stream=stage.stream,
        **{name: counts.get(name, 0) for name in _COUNTS},
        late=late.get(stage.stream, 0),
        newest_event_time=stage.newest_event_time,
        newest_message_time=stage.newest_message_time,
    )


def lasting_incidents(url: SecretStr) -> tuple[Incident, ...] | None:
    """Incidents that are not resolved, the newest first; None if no database was made yet.

    A report only reads: it does not make the database of a platform that never had an incident.
    """
    address = sa.make_url(url.get_secret_value())
    if address.get_backend_name() == "sqlite":
        file = address.database
        if not file or not Path(file).is_file():
            return None
    with IncidentStore.open(url) as store:
        return tuple(store.incidents(states=[state for state in State if state != State.RESOLVED]))
