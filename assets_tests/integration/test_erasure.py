"""A person is erased from a whole line, and nothing else changes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import STREAMS
from adx_platform.faultpoints import VARIABLE
from adx_platform.lake.erased_rows import ERASED_VALUE
from adx_platform.lake.reading import events_snapshot, raw_snapshot
from adx_platform.pipeline.erasure import Person, look_for
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.pipeline.reprocess import reprocess_range
from adx_platform.quality.lake_rows import recount_landing, refined_window
from adx_platform.settings import Settings
from adx_platform.warehouse.published import query_published
from assets_tests.lines import WholeLine

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(600),
    # dagster-dbt calls it itself.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated"),
]
ADX = (sys.executable, "-c", "from adx_platform.cli.main import main; main()")
USER_ID = re.compile(rb'"user_id": ?"([0-9a-f-]{36})"')
TOTALS = """
    select
        (select count(*) from marts.fct_impressions) as impressions,
        (select sum(spend_micros) from marts.fct_impressions) as spend,
        (select count(*) from marts.fct_impressions where viewable_at is not null) as viewable,
        (select count(*) from marts.fct_impressions where is_givt) as givt,
        (select count(*) from marts.fct_clicks) as clicks,
        (select count(*) from marts.fct_conversions) as conversions,
        (select sum(revenue_micros) from marts.fct_conversions) as revenue,
        (select sum(committed_offsets) from marts.conservation_offsets) as offsets
"""


def events(platform: Platform, stream: str) -> pl.DataFrame:
    known = STREAMS[stream]
    snapshot = events_snapshot(platform.storage, known.topic, known.events_schema)
    assert snapshot is not None
    return snapshot.scan().sort("topic_id", "partition", "offset").collect()


def landed(platform: Platform, stream: str) -> pl.DataFrame:
    snapshot = raw_snapshot(platform.storage, STREAMS[stream].topic)
    assert snapshot is not None
    return snapshot.scan().sort("topic_id", "partition", "offset").collect()


def busiest(platform: Platform) -> str:
    """The raw id of somebody who saw, clicked and bought, with the most impressions."""
    buyers = set(events(platform, "clicks_conversions")["user_id"].drop_nulls().to_list())
    seen: Counter[str] = Counter()
    for value in landed(platform, "ad_impressions")["value"].drop_nulls().to_list():
        if (found := USER_ID.search(value)) and found.group(1).strip(b"0-"):
            seen[found.group(1).decode()] += 1
    for raw_id, _ in seen.most_common():
        if Person.of_raw_id(raw_id, platform.settings.privacy).pseudonyms & buyers:
            return raw_id
    raise AssertionError("nobody of the market clicked: take another seed")


def stored(platform: Platform) -> list[list[dict[str, Any]]]:
    return [events(platform, stream).drop("revision").to_dicts() for stream in STREAMS]


def files_that_name(folders: list[Path], words: list[bytes]) -> list[str]:
    """Files with one of the words in their bytes, or in a Parquet file's decoded columns."""
    found = []
    for path in (p for folder in folders for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            rows = pl.read_parquet(path, hive_partitioning=False)
            content += repr(rows.to_dicts()).encode()
        if path.suffix == ".duckdb":
            content += text_of(path)
        if any(word in content for word in words):
            found.append(str(path))
    return found


def text_of(database: Path) -> bytes:
    """Every row of every table: what is in the file may be compressed."""
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_type = 'BASE TABLE'"
        ).fetchall()
        return b"".join(
            repr(connection.execute(f'select * from {schema}."{name}"').fetchall()).encode()
            for schema, name in tables
        )


def environment(settings: Settings) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ADX_")}
    return kept | {
        "ADX_HOME": str(settings.home),
        "ADX_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
    }


def require_conserved(platform: Platform) -> None:
    for stream in STREAMS.values():
        window = refined_window(platform.storage, stream)
        for equation in (*recount_landing(platform.storage, stream), *window.equations):
            assert equation.verdict == "holds", equation


def test_a_person_is_erased_everywhere_and_stays_so(whole_line: WholeLine, tmp_path: Path) -> None:
    settings = whole_line.copy(tmp_path / "home")
    platform = open_platform(settings)
    raw_id = busiest(platform)
    person = Person.of_raw_id(raw_id, settings.privacy)
    words = [*person.raw, *(name.encode() for name in person.pseudonyms)]
    places = [settings.home / "lake", settings.duckdb_path.parent, settings.published_dir]
    before, totals = stored(platform), query_published(settings.published_dir, TOTALS)
    assert files_that_name([settings.home / "lake" / "raw"], words)
    assert files_that_name([settings.home / "lake" / "events"], words)
    assert files_that_name([settings.duckdb_path.parent], words)
    assert files_that_name([settings.published_dir], words)

    looked = list(look_for(platform, person))
    assert {item.stream for item in looked if item.events} >= {"ad_impressions"}
    assert stored(platform) == before

    # Killed after a part of the work, and run again.
    command = [*ADX, "erase", "--user-id", raw_id]
    killed = subprocess.run(
        [*command, "--no-build"],
        env=environment(settings) | {VARIABLE: "reprocess.announced:2"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode < 0, killed.stderr
    done = subprocess.run(
        [*command, "--vacuum-now"], env=environment(settings), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert raw_id.encode() not in done.stdout + done.stderr

    assert files_that_name(places, words) == []
    assert files_that_name([settings.home / "erasures.jsonl", settings.reference_dir], words) == []
    require_conserved(platform)
    assert query_published(settings.published_dir, TOTALS).equals(totals)
    assert_only_the_persons_rows_changed(before, stored(platform), person)

    # Nothing is left to do.
    assert [(i.events, i.messages) for i in look_for(platform, person)] == [(0, 0)] * len(STREAMS)
    after = stored(platform)

    # Refined again, from what is landed, nothing comes back and nothing is lost.
    for stream in STREAMS:
        rows = landed(platform, stream)
        for (topic_id, partition), mine in rows.group_by("topic_id", "partition"):
            span = OffsetRange(
                int(str(partition)), int(mine["offset"].min()), 1 + int(mine["offset"].max())
            )
            reprocess_range(
                open_platform(settings), stream, [span], reason="test", topic_id=str(topic_id)
            )
    again = stored(platform)
    assert without_versions(again) == without_versions(after)
    assert files_that_name([settings.home / "lake"], words) == []
    require_conserved(platform)


def without_versions(streams: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """What does not depend on the batch that a row was refined in.

    The list of the erased is part of the reference data, whose version each row tells; and copies
    are marked as far as they are in one batch, here one partition instead of a lane's.
    """
    same = {"duplicate": "accepted"}
    return [
        [
            {
                **row,
                "reference_version": None,
                "disposition": same.get(row["disposition"], row["disposition"]),
            }
            for row in rows
        ]
        for rows in streams
    ]


def assert_only_the_persons_rows_changed(
    before: list[list[dict[str, Any]]], after: list[list[dict[str, Any]]], person: Person
) -> None:
    changed = 0
    for former, now in zip(before, after, strict=True):
        assert len(former) == len(now)
        for old, new in zip(former, now, strict=True):
            if old == new:
                continue
            changed += 1
            assert any(name in repr(old) for name in person.pseudonyms)
            differing = {name for name in old if old[name] != new[name]}
            assert differing <= {
                "user_id", "user_id_previous", "user_id_key_id", "ip_prefix", "user_agent",
                "device", "user", "extension_json",
            }  # fmt: skip
            assert new["user_id"] is None
    assert changed


def test_the_bytes_of_a_rejected_message_are_erased_too(
    whole_line: WholeLine, tmp_path: Path
) -> None:
    settings = whole_line.copy(tmp_path / "home")
    platform = open_platform(settings)
    stream = "ad_impressions"
    rejected = events(platform, stream).filter(pl.col("disposition") == "rejected")
    messages = landed(platform, stream).join(
        rejected.select("topic_id", "partition", "offset"),
        on=["topic_id", "partition", "offset"],
        how="semi",
    )
    named = [
        (row["partition"], row["offset"], found.group(1).decode())
        for row in messages.iter_rows(named=True)
        if (found := USER_ID.search(row["value"] or b""))
    ]
    assert named, "the market has no rejected impression that names a user"
    partition, offset, raw_id = named[0]
    done = subprocess.run(
        [*ADX, "erase", "--user-id", "-", "--no-build"],
        env=environment(settings),
        input=raw_id.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    row = landed(platform, stream).filter(partition=partition, offset=offset).row(0, named=True)
    assert (row["value"], row["key"]) == (ERASED_VALUE, None)
    kept = events(platform, stream).filter(partition=partition, offset=offset)
    assert kept["disposition"].to_list() == ["rejected"]
