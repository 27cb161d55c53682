"""The lake on an S3 store: round trip, fence under racing processes, errors that say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake.fs import DeltaStorageHandler
from pydantic import SecretStr

from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.contracts.offsets import OffsetRange
from adx_platform.contracts.streams import CLICKS_CONVERSIONS
from adx_platform.lake import maintenance
from adx_platform.lake.cursors import landed_offsets, refined_offsets
from adx_platform.lake.errors import LakeUnavailable
from adx_platform.lake.events import RefineHandle
from adx_platform.lake.files import LakeFiles
from adx_platform.lake.holes import missing_offsets
from adx_platform.lake.integrity import Damage, damaged_files, remove_missing
from adx_platform.lake.maintenance import delete_orphans, merge_small_files
from adx_platform.lake.reading import Snapshot, events_snapshot, last_message, raw_snapshot
from adx_platform.lake.restatements import announce, pending_restatements
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import raw_table
from adx_platform.pipeline.platform import open_platform
from adx_platform.pipeline.refining import refine_pending
from adx_platform.settings import LakeSettings, load_settings
from assets_tests.servers.seaweedfs import ACCESS_KEY, BUCKET, SECRET, SeaweedFS

pytestmark = [pytest.mark.s3, pytest.mark.slow]

WORKER = Path(__file__).with_name("racing_worker.py")
STREAM = CLICKS_CONVERSIONS


@pytest.fixture(scope="module")
def s3(seaweedfs: SeaweedFS) -> LakeSettings:
    return seaweedfs.settings("adx")


def _clicks(count: int) -> pl.DataFrame:
    noon_us = 1_772_452_800_000_000
    lines = [
        f"click,event-{n},{noon_us + n},click-{n},imp-{n},user-{n},a1,c1,,,,,192.0.2.7,,,".encode()
        if n % 5
        else b'click,"broken'
        for n in range(count)
    ]
    rows = pl.DataFrame(
        {
            "topic_id": ["id"] * count,
            "partition": [0] * count,
            "offset": range(count),
            "kafka_timestamp": [datetime(2026, 3, 2, 12, tzinfo=UTC)] * count,
            "value": lines,
        },
        schema_overrides=RAW_SCHEMA,
    )
    missing = [pl.lit(None, RAW_SCHEMA[n]).alias(n) for n in RAW_SCHEMA if n not in rows.columns]
    return rows.with_columns(missing).select(RAW_SCHEMA.names())


def test_land_refine_and_restate_on_s3(s3: LakeSettings, tmp_path: Path) -> None:
    platform = open_platform(load_settings(home=tmp_path, lake=s3))
    raw = _clicks(100)
    platform.landing(STREAM).commit(raw, "id", [OffsetRange(0, 0, 100)])
    report = refine_pending(platform, STREAM, 0)
    assert report is not None
    assert (report.counts["accepted"], report.counts["rejected"]) == (80, 20)
    assert landed_offsets(platform.storage, STREAM.topic) == {("id", 0): 100}
    assert refined_offsets(platform.storage, STREAM.topic) == {("id", 0): 100}
    landing = raw_snapshot(platform.storage, STREAM.topic)
    events = events_snapshot(platform.storage, STREAM.topic, STREAM.events_schema)
    assert landing is not None
    assert events is not None
    assert landing.read("id", 0, 0, 100).equals(raw)
    last = last_message(landing, "id", 0, 100)
    assert last is not None
    assert last.offset == 99
    rows = events.read("id", 0, 0, 100)
    assert rows["offset"].to_list() == list(range(100))

    restatement = announce(
        platform.storage, STREAM.topic, "id", OffsetRange(0, 10, 20), reason="round trip"
    )
    assert pending_restatements(platform.storage, STREAM.topic, events) == (restatement,)
    again = rows.filter(pl.col("offset").is_between(10, 19)).with_columns(
        pl.lit(1, pl.Int64).alias("revision")
    )
    handle: RefineHandle = platform.refining(STREAM)
    handle.replace(again, restatement)
    after = events_snapshot(platform.storage, STREAM.topic, STREAM.events_schema)
    assert after is not None
    stored = after.read("id", 0, 0, 100)
    assert stored["revision"].to_list() == [0] * 10 + [1] * 10 + [0] * 80
    assert stored.drop("revision").equals(rows.drop("revision"))


def test_four_processes_on_one_lane_have_one_winner_each_time(s3: LakeSettings) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ADX_")} | {
        "ADX_LAKE__URI": f"s3://{BUCKET}/race",
        "ADX_LAKE__S3_ENDPOINT": str(s3.s3_endpoint),
        "ADX_LAKE__S3_ACCESS_KEY_ID": ACCESS_KEY,
        "ADX_LAKE__S3_SECRET_ACCESS_KEY": SECRET,
        "ADX_LAKE__S3_ALLOW_HTTP": "true",
    }
    successes = []
    with ExitStack() as running:
        workers = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, str(WORKER), "raced", "8"],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(4)
        ]
        for worker in workers:
            running.callback(worker.kill)
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            output, errors = worker.communicate(timeout=120)
            assert worker.returncode == 0, errors
            successes.append(int(output))
    won = sum(successes)
    assert 8 <= won <= 32
    storage = LakeStorage.at(f"s3://{BUCKET}/race", s3)
    assert landed_offsets(storage, "raced") == {("raced", 0): 20 * won}
    snapshot = raw_snapshot(storage, "raced")
    assert snapshot is not None
    rows = snapshot.scan().sort("offset").collect()
    assert rows["offset"].to_list() == list(range(20 * won))
    # A range is one worker's as a whole.
    assert rows.group_by(pl.col("offset") // 20).agg(pl.col("value").n_unique())["value"].max() == 1


@pytest.mark.parametrize(
    ("change", "bucket", "advice"),
    [
        ({}, "no-such-bucket", "the bucket does not exist: create it"),
        ({"s3_access_key_id": "stranger"}, BUCKET, "check ADX_LAKE__S3_ACCESS_KEY_ID"),
        (
            {"s3_secret_access_key": SecretStr("wrong-secret")},
            BUCKET,
            "check ADX_LAKE__S3_SECRET_ACCESS_KEY",
        ),
        ({"s3_allow_http": False}, BUCKET, "set ADX_LAKE__S3_ALLOW_HTTP=true"),
        ({"s3_endpoint": "http://127.0.0.1:1"}, BUCKET, "check ADX_LAKE__S3_ENDPOINT"),
    ],
    ids=["bucket", "access key", "secret", "plain http", "endpoint"],
)
def test_a_wrong_setting_is_named_and_no_secret_is_shown(
    s3: LakeSettings, change: dict[str, object], bucket: str, advice: str
) -> None:
    section = s3.model_copy(update=change)
    storage = LakeStorage.at(f"s3://{bucket}/adx", section)
    with pytest.raises(LakeUnavailable) as seen:
        raw_table(storage, "ad_impressions").find()
    assert advice in str(seen.value)
    assert SECRET not in str(seen.value)
    assert "wrong-secret" not in str(seen.value)


def test_damaged_objects_are_found_moved_aside_and_taken_out_of_the_table(
    s3: LakeSettings, tmp_path: Path
) -> None:
    platform = open_platform(
        load_settings(
            home=tmp_path,
            lake=s3.model_copy(update={"uri": f"s3://{BUCKET}/damaged"}),
        )
    )
    raw = _clicks(60)
    for start in range(0, 60, 20):
        part = raw.slice(start, 20)
        platform.landing(STREAM).commit(part, "id", [OffsetRange(0, start, start + 20)])
    table = raw_table(platform.storage, STREAM.topic)
    handle = table.find()
    assert handle is not None
    assert damaged_files(table, deep=True) == []
    actions = pl.DataFrame(handle.get_add_actions(flatten=True)).sort("min.offset")
    lost, torn, _ = actions["path"]
    store = DeltaStorageHandler(table.storage.table_uri(table.name), dict(table.storage.options))
    store.delete_file(lost)
    another = pl.DataFrame({"another": ["file"]})
    another.write_parquet(
        f"{table.storage.table_uri(table.name)}/{torn}", storage_options=table.storage.scan_options
    )

    found = {item.path: item.kind for item in damaged_files(table)}
    assert found == {lost: Damage.MISSING, torn: Damage.TRUNCATED}
    files = LakeFiles(platform.storage, platform.storage.uri)
    kept = f"quarantine/1/{table.name}/{torn}"
    assert files.move(f"{table.name}/{torn}", kept)
    assert not files.move(f"{table.name}/{torn}", kept)
    with files.open(kept) as file:
        assert pl.read_parquet(file.read()).equals(another)
    remove_missing(table)
    landing = platform.landing(STREAM)
    left = Snapshot(landing.table, landing.handle)
    assert missing_offsets(left, "id", [OffsetRange(0, 0, 60)]) == (OffsetRange(0, 0, 40),)
    landing.fill(raw.slice(0, 40), "id", OffsetRange(0, 0, 40))
    after = raw_snapshot(platform.storage, STREAM.topic)
    assert after is not None
    assert after.read("id", 0, 0, 60).equals(raw)
    assert after.next_offset("id", 0) == 60


def test_upkeep_on_s3_merges_and_deletes_what_was_never_committed(
    s3: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = open_platform(
        load_settings(home=tmp_path, lake=s3.model_copy(update={"uri": f"s3://{BUCKET}/upkeep"}))
    )
    raw = _clicks(60)
    for start in range(0, 60, 10):
        part = raw.slice(start, 10)
        platform.landing(STREAM).commit(part, "id", [OffsetRange(0, start, start + 10)])
    table = raw_table(platform.storage, STREAM.topic)
    files = LakeFiles(platform.storage, platform.storage.table_uri(table.name))
    with files.create("part-orphan.parquet") as file:
        file.write(b"PAR1 never committed")

    report = merge_small_files(table, below=1 << 20, at_least=2)

    assert (report.merged, report.into) == (6, 1)
    merged = raw_snapshot(platform.storage, STREAM.topic)
    assert merged is not None
    assert merged.read("id", 0, 0, 60).equals(raw.sort("offset"))
    # An object's age is the store's: it cannot be made older, only the bound can be lowered.
    assert delete_orphans(table, timedelta(hours=24)).orphans == 0
    assert files.states(["part-orphan.parquet"])[0].size is not None
    monkeypatch.setattr(maintenance, "_whole_hours", lambda *_: 0)
    assert delete_orphans(table, timedelta()).orphans >= 1
    assert files.states(["part-orphan.parquet"])[0].size is None
    assert merged.read("id", 0, 0, 60).equals(raw.sort("offset"))
    files.delete("part-orphan.parquet")
