from __future__ import annotations

import pytest

from adx_platform.contracts.envelope import ENVELOPE_COLUMNS, IDENTITY_COLUMNS
from adx_platform.contracts.streams import STREAMS, Stream, stream_named

streams = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())


@streams
def test_a_refined_table_starts_with_the_envelope(stream: Stream) -> None:
    names = stream.events_schema.names()
    envelope = [column.name for column in ENVELOPE_COLUMNS]
    assert names[: len(envelope)] == envelope
    assert names[len(envelope) :] == [column.name for column in stream.columns]
    assert {column.name for column in IDENTITY_COLUMNS} <= set(names)


@streams
def test_column_names_are_unique_without_regard_to_case(stream: Stream) -> None:
    names = [name.lower() for name in stream.events_schema.names()]
    assert len(names) == len(set(names))


@streams
def test_required_columns_exist(stream: Stream) -> None:
    for record in stream.records:
        assert set(record.required) <= set(stream.events_schema.names())


def test_record_types_belong_to_one_stream() -> None:
    types = [name for stream in STREAMS.values() for name in stream.record_types]
    assert len(types) == len(set(types)) == 6


def test_unknown_names_are_refused_with_what_exists() -> None:
    with pytest.raises(ValueError, match="bid_requests, ad_impressions, clicks_conversions"):
        stream_named("clicks")
    with pytest.raises(ValueError, match="click, conversion"):
        stream_named("clicks_conversions").record("impression")
