"""The fast way: all messages of one writer schema at once, field by field.

Belongs here: laying the bodies out in one buffer, running the compiled schema over them and turning
the result into a frame. Does not belong here: types (``avro_nodes``, ``avro_plans``), or messages
that are better read alone (``avro_single``).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa

from adx_platform.codecs.avro_bytes import PADDING, Bytes, Cursor, Ints, Messages
from adx_platform.codecs.avro_failures import Failure, trailing_bytes
from adx_platform.codecs.avro_limits import LARGEST_BUFFER
from adx_platform.codecs.avro_plans import compile_plan
from adx_platform.codecs.avro_sinks import Layout
from adx_platform.codecs.avro_writers import Writer


def read_columns(
    rows: pl.Series, bodies: pl.Series, writer: Writer
) -> tuple[pl.DataFrame, list[tuple[int, Failure]], list[int]]:
    """Decode the bodies that one writer wrote.

    Args:
        rows: UInt32, the row number of each body.
        bodies: Binary, without nulls.
        writer: the schema they were written with.

    Returns:
        A frame of ``row`` and the contract's fields; row and failure of each message that did not
        decode; the rows of messages that should be read singly.
    """
    frames: list[pl.DataFrame] = []
    failures: list[tuple[int, Failure]] = []
    deferred: list[int] = []
    for start, size in _portions(bodies):
        part = rows.slice(start, size)
        frame, failed, left_out = _read(part, bodies.slice(start, size), writer)
        frames.append(frame)
        failures += [(part[position], failure) for position, failure in failed]
        deferred += [part[position] for position in left_out]
    return pl.concat(frames), failures, deferred


def _portions(bodies: pl.Series) -> Iterator[tuple[int, int]]:
    """Offset and length of parts whose bytes fit into one buffer; nearly always one part."""
    portion = (bodies.bin.size().cast(pl.Int64).cum_sum() // LARGEST_BUFFER).to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(portion)) + 1).tolist(), len(bodies)]
    for start, end in pairwise(edges):
        yield start, end - start


def _read(
    rows: pl.Series, bodies: pl.Series, writer: Writer
) -> tuple[pl.DataFrame, list[tuple[int, Failure]], list[int]]:
    data, offsets = _joined(bodies)
    count = len(bodies)
    messages = Messages(data, count)
    numbers = np.arange(count, dtype=np.int64)
    ends = offsets[1:]
    cursor = Cursor(offsets[:-1].copy(), ends.copy(), numbers, numbers)
    plan = compile_plan(writer.record, writer.reader)
    plan.node.read(messages, cursor, 0)
    left = ends - cursor.pos
    for number in np.flatnonzero((left > 0) & messages.alive(cursor)).tolist():
        messages.fail_messages(numbers[number : number + 1], trailing_bytes(int(left[number])))
    struct = plan.sink.build(Layout(count, None, numbers), messages)
    table = pa.Table.from_arrays(struct.flatten(), names=[field.name for field in struct.type])
    frame = pl.DataFrame(pl.from_arrow(table)).insert_column(0, rows.alias("row"))
    if not messages.any_failed:
        return frame, [], []
    failed = messages.failed()
    failures = [
        (number, messages.failure(number))
        for number in np.flatnonzero(failed & ~messages.deferred).tolist()
    ]
    kept = frame.filter(pl.Series(~failed))
    return kept, failures, np.flatnonzero(messages.deferred).tolist()


def _joined(bodies: pl.Series) -> tuple[Bytes, Ints]:
    """All bytes one after the other and padded, and the offsets between the messages."""
    array = bodies.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    size = int(offsets[-1] - offsets[0])
    data = np.zeros(size + PADDING, dtype=np.uint8)
    if size:
        data[:size] = np.frombuffer(data_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]
