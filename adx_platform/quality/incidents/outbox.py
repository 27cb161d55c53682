"""Notices and their deliveries: what people are still to be told.

Belongs here: the queries on the two tables, inside a transaction of the store. Does not belong
here: how a notice is worded or sent (``observability``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from adx_platform.quality.incidents.database import deliveries, notices
from adx_platform.quality.incidents.model import Delivery, NoticeKind
from adx_platform.quality.incidents.rows import Row, incident_id


def add(connection: sa.Connection, number: int, kinds: Iterable[NoticeKind], now: datetime) -> None:
    """Note that people are to be told; the database refuses a kind that is there already."""
    for kind in kinds:
        connection.execute(
            sa.insert(notices).values(
                notice_id=f"{incident_id(number)}/{kind.value}",
                incident=number,
                kind=kind.value,
                created_at=now,
            )
        )


def pending(connection: sa.Connection) -> list[Row]:
    """The notices that are not settled, oldest first."""
    query = sa.select(notices).where(notices.c.settled_at.is_(None))
    # An incident may be opened and escalated in one transaction: then in the order of its life.
    order = {kind.value: place for place, kind in enumerate(NoticeKind)}
    rows = connection.execute(query).mappings().all()
    return sorted(rows, key=lambda row: (row["created_at"], row["incident"], order[row["kind"]]))


def deliveries_of(
    connection: sa.Connection, notice_ids: Iterable[str]
) -> dict[str, tuple[Delivery, ...]]:
    """What was tried, by notice."""
    query = (
        sa.select(deliveries)
        .where(deliveries.c.notice_id.in_(list(notice_ids)))
        .order_by(deliveries.c.channel)
    )
    found: dict[str, tuple[Delivery, ...]] = {}
    for row in connection.execute(query).mappings():
        delivery = Delivery(
            channel=row["channel"],
            attempts=row["attempts"],
            delivered_at=row["delivered_at"],
            last_attempt_at=row["last_attempt_at"],
            reason=row["reason"],
        )
        found[row["notice_id"]] = (*found.get(row["notice_id"], ()), delivery)
    return found


def note_delivery(
    connection: sa.Connection, notice_id: str, channel: str, *, reason: str | None, now: datetime
) -> None:
    """Count one try; without a ``reason`` it worked."""
    this_one = (deliveries.c.notice_id == notice_id) & (deliveries.c.channel == channel)
    outcome = {
        "delivered_at": now if reason is None else None,
        "last_attempt_at": now,
        "reason": reason,
    }
    known = connection.execute(sa.select(deliveries.c.delivered_at).where(this_one)).first()
    if known is None:
        connection.execute(
            sa.insert(deliveries).values(
                notice_id=notice_id, channel=channel, attempts=1, **outcome
            )
        )
    elif known.delivered_at is None:
        connection.execute(
            sa.update(deliveries)
            .where(this_one)
            .values(attempts=deliveries.c.attempts + 1, **outcome)
        )


def settle(connection: sa.Connection, notice_id: str, now: datetime) -> None:
    """Nothing more is to be done for this notice."""
    connection.execute(
        sa.update(notices)
        .where(notices.c.notice_id == notice_id, notices.c.settled_at.is_(None))
        .values(settled_at=now)
    )
