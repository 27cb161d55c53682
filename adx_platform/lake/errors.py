"""What can go wrong in the lake, each with a sentence that says what to do.

Belongs here: the exception types that callers tell apart. Does not belong here: the decision to
retry, re-plan or stop, which is the caller's.
"""

# ruff: noqa: N818 - the names say what happened to the range or the table, as the reports do

from __future__ import annotations

from adx_platform.errors import AdxError


class LakeError(AdxError):
    """Any failure of the lake that a person may have to act on."""


class LakeUnavailable(LakeError):
    """The storage does not answer, or does not let us in."""


class IncompatibleTableSchema(LakeError):
    """A stored table has a column of another type than the contract's; only additions pass."""


class RangeAlreadyCommitted(LakeError):
    """Another worker committed (part of) this range after it was planned: the clean loser's error.

    Nothing was written. Plan again from a fresh handle, or stop.
    """


class CommitContention(LakeError):
    """Other commits got in the way for all of the bounded retries; nothing was written."""


class UnaccountedOffsets(LakeError):
    """A frame does not account for every offset of the range that it is to be committed for."""


class RawPastRetention(LakeError):
    """Raw rows that are needed were removed from the landing by its retention."""


class LakeFileDamaged(LakeError):
    """A file that the table counts on is missing, cut short or unreadable; the message names it."""


class LakeBeyondRepair(LakeError):
    """Offsets that neither the lake nor the broker has any more; nothing was invented for them."""
