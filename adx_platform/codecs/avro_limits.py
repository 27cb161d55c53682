"""Bounds of reading Avro messages together.

Belongs here: the figures and why they are what they are. Does not belong here: code.
"""

from __future__ import annotations

LONGEST_LIST = 1024
"""A list with more items leaves the batch for the single-message reader: items are read one after
the other, for all messages at once, and one long list would hold up the whole batch."""

DEEPEST_RECORD = 64
"""Only a schema that contains itself can nest deeper; the contract's does not."""

LARGE_BODY = 64 * 1024
"""Bytes; a longer message is read by itself, so that it cannot hold up a batch."""

LARGEST_BUFFER = 512 * 1024 * 1024
"""Bytes decoded at once: decoded text refers to its bytes by 32-bit offsets."""
