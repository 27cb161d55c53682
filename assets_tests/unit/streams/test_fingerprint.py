from __future__ import annotations

from adx_platform.streams.fingerprint import fingerprint


def test_it_is_stable_across_releases() -> None:
    # Fingerprints are kept in commits: a change of this value would stop every lane.
    assert fingerprint(1_700_000_000_000, b"abc") == "9123d404cb5f9c3d6de6360e1024e7bb"


def test_time_value_and_their_absence_all_count() -> None:
    made = [
        fingerprint(time, value)
        for time in (None, 0, 1, 12)
        for value in (None, b"", b"0|", b"2|1|")
    ]
    assert len(set(made)) == len(made)
