"""Everything that can go wrong with a stream, as exceptions that say what to do.

Belongs here: the exception types of this package. Does not belong here: the translation of
librdkafka's error codes (``client``).
"""

# ruff: noqa: N818 - the names say what happened to the stream, as the reports do

from __future__ import annotations

from adx_platform.errors import AdxError


class StreamError(AdxError):
    """Base of all errors of the streams package."""


class BrokerUnreachable(StreamError):
    """No broker answered in time; trying again later may help."""


class AuthenticationFailed(StreamError):
    """The broker refused the credentials or the TLS hand-shake; trying again does not help."""


class UnknownTopic(StreamError):
    """The topic does not exist at this broker."""


class TopicRewound(StreamError):
    """The broker holds less than what was already committed: another topic or a restored backup."""


class TopicReplaced(StreamError):
    """The broker's record at a committed offset is not the record that was landed."""


class RangeUnavailable(StreamError):
    """A planned range is no longer, or not yet, at the broker: plan again."""


class ReadStalled(StreamError):
    """The broker stopped answering before the end of a range."""


class DeliveryFailed(StreamError):
    """The broker did not take all the messages that were produced."""


class EmbeddedBrokerError(StreamError):
    """The embedded broker cannot be started or stopped."""
