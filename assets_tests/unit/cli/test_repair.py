"""`adx repair`, `adx rejects replay` and `adx reprocess` by hours, on a small real lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HOURS = ("--from", "2026-03-02T12", "--to", "2026-03-02T13")


def torn_events(line: Any) -> Path:
    """The file of accepted impressions, cut short."""
    folder = Path(line.settings.lake_uri, "events", "ad_impressions", "disposition=accepted")
    path = min(folder.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    return path


def test_sound_lakes_are_said_to_be_sound(adx: Any, mixed_line: Any) -> None:
    looked = adx("repair", "--look")
    assert (looked.code, looked.stdout) == (0, "every file is sound\n")
    done = adx("repair", "--stream", "ad_impressions")
    assert (done.code, done.stdout) == (
        0,
        "ad_impressions: every file is sound; nothing to repair\n",
    )


def test_a_torn_file_is_shown_and_mended(adx: Any, mixed_line: Any) -> None:
    path = torn_events(mixed_line)
    found = adx("repair", "--look", "--json").json
    assert [(item["layer"], item["kind"]) for item in found] == [("events", "truncated")]
    assert path.name in adx("repair", "--look").stdout
    refused = adx("rejects", "replay", "--stream", "ad_impressions")
    assert refused.code == 1
    assert "Run `adx repair --stream ad_impressions`" in refused.words

    mended = adx("repair")
    assert mended.code == 0
    assert "1 damaged files moved to quarantine/" in mended.stdout
    assert adx("repair", "--json", "--stream", "ad_impressions").json["repaired"][0]["changed"] is (
        False
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--accept-loss",), "--accept-loss needs --stream"),
        (("--accept-loss", "--look", "--stream", "bid_requests"), "--look changes nothing"),
        (("--stream", "bids"), "no stream 'bids'"),
    ],
)
def test_wrong_usage_is_explained(adx: Any, arguments: tuple[str, ...], words: str) -> None:
    done = adx("repair", *arguments)
    assert done.code == 2
    assert words in done.words


def test_rejects_are_replayed_and_counted(adx: Any, mixed_line: Any) -> None:
    replay = ("rejects", "replay", "--stream", "ad_impressions")
    done = adx(*replay, "--reason", "invalid_encoding", *HOURS)
    assert done.code == 0
    assert "ad_impressions: invalid_encoding 1 -> invalid_encoding 1" in done.stdout
    found = adx(*replay, "--json").json
    assert found["before"] == found["after"] == {"invalid_encoding": 1, "tombstone": 1}
    assert found["mended"] == 0
    none = adx(*replay, "--from", "2026-03-03")
    assert none.stdout == "ad_impressions: no rejects to replay\n"


def test_hours_are_refined_again(adx: Any, mixed_line: Any) -> None:
    again = ("reprocess", "--stream", "ad_impressions", "--reason", "a fix")
    done = adx(*again, *HOURS)
    assert done.code == 0
    assert "every disposition came out as before" in done.words
    by_event = adx(*again, "--from", "2026-03-02T10", "--to", "2026-03-02T11", "--by", "event")
    assert by_event.code == 0
    assert "ad_impressions: 1 offsets refined again" in by_event.words


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--from", "2026-03-02T12"), 2, "--partition, --start and --end, or --from and --to"),
        ((*HOURS, "--partition", "0"), 2, "either offsets or hours, not both"),
        (("--from", "noon", "--to", "one"), 1, "'noon' is not a time"),
        (("--from", "2026-03-05", "--to", "2026-03-06"), 1, "the lake has nothing of"),
    ],
)
def test_a_range_that_cannot_be_meant_is_explained(
    adx: Any, mixed_line: Any, options: tuple[str, ...], code: int, words: str
) -> None:
    done = adx("reprocess", "--stream", "ad_impressions", "--reason", "x", *options)
    assert done.code == code
    assert words in done.words
