"""A small, dirty market and the raw warehouse that it is loaded into in random pieces.

Belongs here: rows whose ids repeat, copies and conflicts, late rows, restatements that drop or move
rows. Does not belong here: dbt, or what must be true of the marts.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl

from adx_platform.warehouse.base import LoadRange
from adx_platform.warehouse.expired_offsets import returning_statements
from adx_platform.warehouse.load_rules import range_parameters
from adx_platform.warehouse.tables import (
    AD_IMPRESSIONS,
    BID_NOTICES,
    BID_REQUEST_IMPS,
    BID_REQUESTS,
    BID_RESPONSES,
    CLICKS,
    CONVERSIONS,
    GAPS,
    REJECTS,
    REMOVED_ROWS,
    Table,
    schema_statements,
)

START = datetime(2026, 3, 26)  # noqa: DTZ001 the warehouse's times are naive UTC; DST starts on 29 March
TOPIC_ID = "topic-uuid"
PARTITIONS = 3
EVENT_TABLES = (BID_REQUESTS, BID_RESPONSES, BID_NOTICES, AD_IMPRESSIONS, CLICKS, CONVERSIONS)
STREAM_OF = {
    "bid_requests": "bid_requests",
    "bid_responses": "bid_requests",
    "bid_notices": "bid_requests",
    "ad_impressions": "ad_impressions",
    "clicks": "clicks_conversions",
    "conversions": "clicks_conversions",
}
ADVERTISERS = [
    # One window reaches further back than adx_lookback_days: attribution must not be cut by it.
    ("adv-0", "Europe/Berlin", "EUR", 48, 24),
    ("adv-1", "Asia/Kathmandu", "USD", 240, 12),
    ("adv-2", "America/New_York", "USD", 1, 240),
]

Row = dict[str, Any]


# Kinds of events of a bid: as likely as they stand here, and of a quiet bid in this order.
_KINDS = {
    "ad_impressions": ("rendered", "rendered", "measurable", "viewable"),
    "bid_notices": ("win", "billing", "loss"),
    "bid_responses": ("response",),
}


class Slot(NamedTuple):
    """One offset of one partition."""

    stream: str
    partition_id: int
    kafka_offset: int


class Market:
    """Makes rows from small pools of ids, so that everything collides with everything.

    But for quiet bids, of which each event is made once and soon: the marts join those and fold the
    others. Copies and restatements make the one kind of the other.
    """

    def __init__(self, seed: int, *, days: int = 12) -> None:
        self.random = random.Random(seed)
        self.days = days
        self.serial = 0
        self.bids = [self._bid(number) for number in range(40)]
        self.quiet = [self._bid(number) for number in range(40, 80)]
        self.made: set[tuple[str, str]] = set()

    def _bid(self, number: int) -> Row:
        return {
            "exchange_id": f"ex-{number % 2}",
            "request_id": f"req-{self.random.randrange(7)}",
            "imp_id": str(self.random.randrange(2)),
            "bid_id": f"bid-{number}",
            "impression_id": f"impression-{number}",
            "campaign_id": f"campaign-{number % 5}",
            "creative_id": f"creative-{number % 5}",
            "advertiser_id": f"adv-{number % 3}",
            "user_id": self.random.choice([None, "user-0", "user-1", "user-2"]),
            "born_at": START + timedelta(minutes=self.random.randrange(self.days * 24 * 60)),
        }

    def event(self, table: Table) -> Row:
        """A new event of ``table``, within three days of the bid that it belongs to."""
        self.serial += 1
        pick = self.random
        bid = pick.choice(self.bids)
        delay = timedelta(
            minutes=pick.choice([0, 1, 30, 90, 600, 3 * 24 * 60]), microseconds=pick.randrange(3)
        )
        kind = pick.choice(_KINDS.get(table.name, ("only",)))
        if table.name in _KINDS and pick.random() < 0.5:
            bid, kind, delay = self._quiet_event(table) or (bid, kind, delay)
        row = {
            **bid,
            "event_id": f"{table.name}-{self.serial}",
            "event_time": bid["born_at"] + delay,
            "event_type": kind,
            "notice_type": kind,
            "price_cpm_micros": pick.choice([None, 1_000_500, 2_500_000, 333_333]),
            "currency": pick.choice(["EUR", "USD", "JPY"]),
            "value_micros": pick.choice([None, 0, 12_340_000, 999_999_999]),
            "click_id": f"click-{self.serial}",
            "order_id": f"order-{self.serial}",
            "conversion_type": "purchase",
            "publisher_id": pick.choice([None, "publisher-0"]),
            "placement_id": pick.choice([None, "placement-0", "placement-1"]),
            "geo_country": pick.choice(["DE", "NP"]),
            "device_type": pick.choice([None, "mobile"]),
            "deal_id": pick.choice([None, None, "deal-0"]),
            "has_consent": pick.random() < 0.8,
            "is_givt": pick.random() < 0.1,
            "givt_reason": None,
            "is_late": pick.random() < 0.1,
            "loss_reason": pick.choice([None, 100, 102]),
            "min_to_win_cpm_micros": pick.choice([None, 1_200_000]),
            "imp_count": 2,
        }
        if table is BID_RESPONSES and pick.random() < 0.3:
            row |= {"bid_id": None, "campaign_id": None, "advertiser_id": None, "no_bid_reason": 2}
        if table is CONVERSIONS:
            minutes = pick.randrange((self.days + 2) * 24 * 60)
            row |= {"event_time": START + timedelta(minutes=minutes)}
        return row

    def _quiet_event(self, table: Table) -> tuple[Row, str, timedelta] | None:
        bid = self.random.choice(self.quiet)
        for kind in dict.fromkeys(_KINDS[table.name]):
            if (bid["bid_id"], kind) not in self.made:
                self.made.add((bid["bid_id"], kind))
                return bid, kind, timedelta(seconds=self.random.randrange(90))
        return None

    def copy_of(self, row: Row) -> Row:
        """The same event again: a duplicate, or a conflict that may lie on another day."""
        if self.random.random() < 0.5:
            return dict(row)
        return {
            **row,
            "event_time": row["event_time"] + timedelta(days=self.random.choice([-1, 0, 1])),
            "user_id": self.random.choice([None, "user-0", "user-1"]),
            "has_consent": True,
            "is_givt": False,
        }


class Warehouse:
    """The loader's side of the contract, written straight into DuckDB."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.load_id = 0
        self.revision = 0
        self.next_offset: dict[tuple[str, int], int] = {}
        self.rows: dict[Slot, tuple[Table, Row]] = {}

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = duckdb.connect(str(self.path))
        try:
            yield connection
        finally:
            connection.close()

    def create(self) -> None:
        with self.connection() as connection:
            for statement in schema_statements("duckdb"):
                connection.execute(statement)
            for advertiser_id, zone, currency, click_hours, view_hours in ADVERTISERS:
                connection.execute(
                    "insert into reference.advertisers values (?, ?, ?, ?, ?, ?, ?)",
                    [advertiser_id, advertiser_id, zone, currency, click_hours, view_hours, START],
                )
            for number in range(5):
                connection.execute(
                    "insert into reference.campaigns values "
                    "(?, ?, 'c', 'sales', 'active', 1, 1, 1, ?)",
                    [f"campaign-{number}", f"adv-{number % 3}", START],
                )
            connection.execute(
                "insert into reference.billing_closes values "
                "('adv-0', '2026-03-01', '2026-04-02', 1, 5000), "
                "('adv-1', '2026-03-01', '2026-04-02', 2, null)"
            )
            connection.execute(
                "insert into reference.exchange_invoices values "
                "('ex-0', '2026-03-01', 'EUR', 12000), ('ex-1', '2026-05-01', 'USD', 1)"
            )
            connection.execute(
                "insert into reference.flights select 'flight-' || number, "
                "'campaign-' || number, timestamp '2026-03-27 12:00:00', "
                "timestamp '2026-04-05 00:00:00' + number * interval 1 hour, "
                "case when number < 3 then 1_000_000 end from range(5) as flights(number)"
            )
            connection.execute(
                "insert into reference.fx_rates select cast(d as date), f, t, "
                "case when f = t then 1 else 0.87654321 + day(d) / 100.0 + ascii(f) / 1000.0 end "
                "from generate_series(timestamp '2026-03-20', timestamp '2026-04-20', "
                "interval 1 day) s(d), "
                "(values ('EUR'), ('USD'), ('JPY')) a(f), (values ('EUR'), ('USD')) b(t)"
            )
            for zone, switch, before, after in [
                ("Europe/Berlin", "2026-03-29 01:00", 60, 120),
                ("Asia/Kathmandu", "2026-03-29 00:00", 345, 345),
                ("America/New_York", "2026-03-08 07:00", -300, -240),
            ]:
                connection.execute(
                    "insert into reference.time_zone_offsets values "
                    "(?, '2020-01-01', ?, ?), (?, ?, '2036-01-01', ?)",
                    [zone, switch, before, zone, switch, after],
                )

    def load(self, events: list[tuple[Table, Row]]) -> None:
        """Append ``events``, as one forward load."""
        self.load_id += 1
        ranges: dict[tuple[str, int], int] = {}
        placed = []
        for table, row in events:
            stream = STREAM_OF[table.name]
            partition = self.random.randrange(PARTITIONS)
            offset = self.next_offset.get((stream, partition), 0)
            ranges.setdefault((stream, partition), offset)
            if self.random.random() < 0.03:
                self._insert(GAPS, [self._gap(Slot(stream, partition, offset))])
                offset += 2
            self.next_offset[stream, partition] = offset + 1
            arrival = row["event_time"] + timedelta(minutes=self.random.randrange(3 * 24 * 60))
            placed.append((table, self._place(row, Slot(stream, partition, offset), arrival)))
        self._write(placed)
        with self.connection() as connection:
            for (stream, partition), start in ranges.items():
                connection.execute(
                    "insert into control.load_ranges values (?, ?, ?, ?, ?, ?, 'forward', 0)",
                    [
                        self.load_id,
                        stream,
                        TOPIC_ID,
                        partition,
                        start,
                        self.next_offset[stream, partition],
                    ],
                )
            connection.execute(
                "insert into control.loads values (?, 'all', 0, ?, ?)",
                [self.load_id, datetime.now(UTC).replace(tzinfo=None), len(events)],
            )

    def restate(self, market: Market) -> None:
        """Replace a range of offsets: some rows stay, some change or move, some become rejects."""
        self.load_id += 1
        self.revision += 1
        stream, partition = self.random.choice(sorted(self.next_offset))
        end = self.next_offset[stream, partition]
        start = self.random.randrange(max(end - 1, 1))
        stop = min(end, start + 6)
        replaced = []
        with self.connection() as connection:
            for table in (*EVENT_TABLES, BID_REQUEST_IMPS, REJECTS):
                if STREAM_OF.get(table.name, stream) != stream:
                    continue
                of_stream = f" and stream = '{stream}'" if table is REJECTS else ""
                if table is BID_REQUEST_IMPS and stream != "bid_requests":
                    continue
                where = (
                    f"where partition_id = {partition} and kafka_offset >= {start} "
                    f"and kafka_offset < {stop}{of_stream}"
                )
                present = {column.name for column in table.columns}
                keys = [
                    c.name for c in REMOVED_ROWS.columns if c.name not in {"load_id", "table_name"}
                ]
                values = ", ".join(key if key in present else "null" for key in keys)
                connection.execute(
                    f"insert into control.removed_rows (load_id, table_name, {', '.join(keys)}) "
                    f"select {self.load_id}, '{table.name}', {values} from raw.{table.name} {where}"
                )
                connection.execute(f"delete from raw.{table.name} {where}")
            part = LoadRange(TOPIC_ID, partition, start, stop, self.revision)
            for statement in returning_statements(self.load_id, "$"):
                connection.execute(statement, range_parameters(stream, part))
            connection.execute(
                "insert into control.loads values (?, ?, 0, ?, 0)",
                [self.load_id, stream, datetime.now(UTC).replace(tzinfo=None)],
            )
            connection.execute(
                "insert into control.load_ranges values (?, ?, ?, ?, ?, ?, 'restatement', ?)",
                [self.load_id, stream, TOPIC_ID, partition, start, stop, self.revision],
            )
        for offset in range(start, stop):
            slot = Slot(stream, partition, offset)
            if slot not in self.rows:
                continue
            table, row = self.rows[slot]
            choice = self.random.random()
            if choice < 0.3:
                row = market.copy_of(row)
            elif choice < 0.5:
                table = REJECTS
            replaced.append(
                (
                    table,
                    self._place(row, slot, row["kafka_timestamp"], self.revision),
                )
            )
        self._write(replaced)

    def record_build(self) -> None:
        with self.connection() as connection:
            connection.execute(
                "insert into control.builds values (?, ?, ?)",
                [f"build-{self.load_id}", self.load_id, datetime.now(UTC).replace(tzinfo=None)],
            )

    def _place(self, row: Row, slot: Slot, arrival: datetime, revision: int = 0) -> Row:
        wire = ("event_id", "event_time", "user_id", "has_consent", "is_givt")
        payload = repr([row[name] for name in wire])
        return {
            **row,
            **slot._asdict(),
            "topic_id": TOPIC_ID,
            "kafka_timestamp": arrival,
            "revision": revision,
            "disposition": "accepted",
            "record_type": row["event_id"].split("-")[0].removesuffix("s"),
            "contract_version": 1,
            "reason_code": "invalid_value",
            "reason": "made invalid by a restatement",
            "event_date": row["event_time"].date(),
            "lateness_seconds": 0,
            "payload_fingerprint": hashlib.md5(payload.encode()).hexdigest(),
            "load_id": self.load_id,
        }

    def _gap(self, slot: Slot) -> Row:
        return {
            **slot._asdict(),
            "topic_id": TOPIC_ID,
            "gap_kind": "absent",
            "gap_length": 2,
            "kafka_timestamp": None,
            "load_id": self.load_id,
        }

    def _write(self, placed: list[tuple[Table, Row]]) -> None:
        for table in (*EVENT_TABLES, REJECTS):
            rows = [row for of, row in placed if of is table]
            self._insert(table, rows)
            if table is BID_REQUESTS:
                self._insert(
                    BID_REQUEST_IMPS,
                    [
                        {
                            **row,
                            "imp_index": index,
                            "imp_id": str(index),
                            "media_type": "banner",
                            "floor_cpm_micros": 1000 + index,
                            "floor_currency": row["currency"],
                        }
                        for row in rows
                        for index in range(2)
                    ],
                )
        for table, row in placed:
            slot = Slot(row["stream"], row["partition_id"], row["kafka_offset"])
            # A reject keeps its table: a later restatement may accept it again.
            self.rows[slot] = (self.rows[slot][0] if table is REJECTS else table, row)

    def _insert(self, table: Table, rows: list[Row]) -> None:
        if not rows:
            return
        columns = [column.name for column in table.columns]
        frame = pl.DataFrame(
            {
                c.name: pl.Series(
                    c.name,
                    [row.get(c.name) for row in rows],
                    dtype=pl.Datetime("us") if isinstance(c.dtype, pl.Datetime) else c.dtype,
                )
                for c in table.columns
            }
        )
        with self.connection() as connection:
            connection.register("incoming", frame.to_arrow())
            connection.execute(
                f"insert into raw.{table.name} by name select {', '.join(columns)} from incoming"
            )
