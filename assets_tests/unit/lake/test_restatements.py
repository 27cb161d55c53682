"""Announcements: numbered, in order, one number each."""

from __future__ import annotations

import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.lake.restatements import announce, list_restatements
from adx_platform.lake.storage import LakeStorage


def test_revisions_count_over_the_lake_and_lists_are_in_order(storage: LakeStorage) -> None:
    assert list_restatements(storage) == ()
    first = announce(storage, "a", "ida", OffsetRange(0, 5, 9), reason="parser bug")
    second = announce(storage, "b", "idb", OffsetRange(1, 0, 2), reason="late schema")
    third = announce(storage, "a", "ida", OffsetRange(0, 0, 5), reason="again")
    assert [r.revision for r in (first, second, third)] == [1, 2, 3]
    assert list_restatements(storage) == (first, second, third)
    assert list_restatements(storage, "a") == (first, third)
    assert list_restatements(storage, "a", after_revision=1) == (third,)
    assert (first.topic_id, first.start, first.end, first.reason) == ("ida", 5, 9, "parser bug")


def test_an_empty_range_is_not_announced(storage: LakeStorage) -> None:
    with pytest.raises(ValueError, match="nothing to restate"):
        announce(storage, "a", "ida", OffsetRange(0, 5, 5), reason="x")
