"""Which failures are tried again inside a run.

Belongs here: the retry policy and the list of errors that it must not be wasted on. Does not
belong here: asking for a range again in a later run (``sensors``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from adx_platform.lake.errors import IncompatibleTableSchema
from adx_platform.reference.files import ReferenceDataError
from adx_platform.streams.errors import (
    AuthenticationFailed,
    TopicReplaced,
    TopicRewound,
    UnknownTopic,
)
from adx_platform.warehouse.retention_rules import RetentionError

TRANSIENT_RETRIES = dg.RetryPolicy(
    max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)

PERMANENT = (
    AuthenticationFailed,
    TopicReplaced,
    TopicRewound,
    UnknownTopic,
    IncompatibleTableSchema,
    ReferenceDataError,
    RetentionError,
)
"""Errors that stay until a person acts."""


@contextmanager
def permanent_failures() -> Iterator[None]:
    """Let the errors of :data:`PERMANENT` fail the step at once, with their own words."""
    try:
        yield
    except PERMANENT as error:
        raise dg.Failure(
            description=f"{type(error).__name__}: {error}", allow_retries=False
        ) from error
