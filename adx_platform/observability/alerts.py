"""Telling people: every notice to every channel, tried again with growing pauses.

Belongs here: which notice is due on which channel, and when one is given up. Does not belong here:
what an alert says (``messages``) or how it is sent (``channels``).

A channel gets the notices of an incident in their order. It is left alone for the rest of a round
after its first failure, and each channel has a thread of its own, so that one that is down or slow
holds up neither the others nor the sensor for longer than one of its timeouts. What a channel has
taken is written down at once; only an answer that came too late can make an alert come twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from adx_platform.observability.channels import Channel, NotDelivered, configured_channels
from adx_platform.observability.masking import masker_for
from adx_platform.observability.messages import AlertMessage, compose
from adx_platform.quality.incidents.model import Notice
from adx_platform.settings import Settings

logger = logging.getLogger(__name__)

FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=15)
TOO_OLD: Final = timedelta(days=1)
"""What is older is news to nobody: a store that was without a sensor for a week must not flood."""


class Outbox(Protocol):
    """What is needed of the incident store."""

    def pending_notices(self) -> list[Notice]:
        """Notices that are not settled, oldest first."""

    def delivered(self, notice_id: str, channel: str, *, now: datetime) -> None:
        """Note that ``channel`` has taken a notice."""

    def failed(self, notice_id: str, channel: str, reason: str, *, now: datetime) -> None:
        """Note that ``channel`` did not take a notice."""

    def settle(self, notice_id: str, *, now: datetime) -> None:
        """Take a notice out of those that are pending."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One try: a notice on a channel; ``reason`` says why it was not taken."""

    notice_id: str
    channel: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What one round did.

    Attributes:
        delivered: what channels took.
        failed: what they did not take; it is tried again.
        given_up: what they did not take and will not be asked to take again.
        waiting: how many notices stay pending.
    """

    delivered: tuple[Sent, ...] = ()
    failed: tuple[Sent, ...] = ()
    given_up: tuple[Sent, ...] = ()
    waiting: int = 0


def deliver_pending(
    store: Outbox,
    settings: Settings,
    now: datetime,
    *,
    channels: Sequence[Channel] | None = None,
) -> DeliveryReport:
    """Try every notice that is due on every channel that lacks it.

    Args:
        store: holds the notices.
        settings: addresses, budget, and the secrets that no alert may show.
        now: UTC.
        channels: instead of the configured ones.

    Returns:
        What was tried; an address that does not answer is in the report, not raised.
    """
    pending = store.pending_notices()
    if not pending:
        return DeliveryReport()
    mask = masker_for(settings)
    used = configured_channels(settings.alerts, mask) if channels is None else channels
    messages = {
        notice.notice_id: compose(notice, ui_url=settings.alerts.ui_url, mask=mask)
        for notice in pending
    }
    limit = settings.alerts.max_attempts
    with ThreadPoolExecutor(len(used), thread_name_prefix="alerts") as pool:
        rounds = [
            pool.submit(
                _send_all,
                channel,
                [messages[n.notice_id] for n in due(pending, channel, limit, now)],
            )
            for channel in used
        ]
        sent = []
        for done in as_completed(rounds):
            # At once: what is not written down when this process dies is sent again.
            _note(store, done.result(), now)
            sent += done.result()
    return _settled(store, sent, used, limit, now)


def due(pending: Iterable[Notice], channel: Channel, limit: int, now: datetime) -> list[Notice]:
    """What ``channel`` is to be given now, oldest first."""
    found = []
    held: set[str] = set()
    for notice in pending:
        if _is_done(notice, channel, limit, now):
            continue
        incident = notice.incident.incident_id
        if incident in held or not _pause_is_over(notice, channel, now):
            # The end of an incident is not told before its beginning.
            held.add(incident)
        else:
            found.append(notice)
    return found


def _send_all(channel: Channel, messages: Iterable[AlertMessage]) -> list[Sent]:
    sent = []
    for message in messages:
        try:
            channel.send(message)
        except NotDelivered as error:
            sent.append(Sent(message.notice_id, channel.name, str(error)))
            break
        sent.append(Sent(message.notice_id, channel.name))
    return sent


def _note(store: Outbox, sent: Iterable[Sent], now: datetime) -> None:
    for item in sent:
        if item.reason is None:
            store.delivered(item.notice_id, item.channel, now=now)
        else:
            store.failed(item.notice_id, item.channel, item.reason, now=now)


def _settled(
    store: Outbox, sent: Sequence[Sent], channels: Sequence[Channel], limit: int, now: datetime
) -> DeliveryReport:
    """Settle what every channel has or was given up, and say how the round went."""
    waiting = 0
    spent: set[tuple[str, str]] = set()
    for notice in store.pending_notices():
        open_channels = [c for c in channels if not _is_done(notice, c, limit, now)]
        spent.update((notice.notice_id, c.name) for c in channels if c not in open_channels)
        if open_channels:
            waiting += 1
        else:
            store.settle(notice.notice_id, now=now)
    failed = [item for item in sent if item.reason is not None]
    given_up = [item for item in failed if (item.notice_id, item.channel) in spent]
    for item in failed:
        if item in given_up:
            logger.error(
                "alert %s was given up on %s after %d tries: %s",
                *(item.notice_id, item.channel, limit, item.reason),
            )
        else:
            logger.warning(
                "alert %s was not taken by %s: %s", item.notice_id, item.channel, item.reason
            )
    return DeliveryReport(
        delivered=tuple(item for item in sent if item.reason is None),
        failed=tuple(item for item in failed if item not in given_up),
        given_up=tuple(given_up),
        waiting=waiting,
    )


def _is_done(notice: Notice, channel: Channel, limit: int, now: datetime) -> bool:
    """Whether ``channel`` has the notice, or will not be asked again."""
    if notice.created_at < now - TOO_OLD:
        return True
    delivery = notice.delivery(channel.name)
    if delivery is None:
        return False
    return delivery.delivered_at is not None or delivery.attempts >= limit


def _pause_is_over(notice: Notice, channel: Channel, now: datetime) -> bool:
    delivery = notice.delivery(channel.name)
    if delivery is None:
        return True
    # Bounded before it is computed: 2 to the power of a large number of tries is no duration.
    doublings = min(delivery.attempts - 1, 16)
    pause: timedelta = min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
    return now >= delivery.last_attempt_at + pause
