from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.simulate.events import TOPIC_OF
from adx_platform.simulate.malformed import ANY_KINDS, KINDS_OF_TOPIC

ALL_KINDS = [*ANY_KINDS, *(kind for kinds in KINDS_OF_TOPIC.values() for kind in kinds)]


def _broken(market_run: Any, kind: str) -> list[bytes]:
    places = market_run.messages.filter(
        market_run.messages["fault"].is_in([kind, f"{kind}_replacing"])
    )
    topic = "ad_impressions" if kind.startswith("json") else "clicks_conversions"
    return market_run.wire(topic).join(places, on=["partition", "sequence"])["value"].to_list()


def test_more_than_twenty_kinds_with_names_of_their_own() -> None:
    names = [kind.name for kind in ALL_KINDS]
    assert len(names) == len(set(names)) > 20
    for kind in ALL_KINDS:
        assert set(kind.only) <= set(TOPIC_OF)


def test_every_reason_of_a_single_message_is_provoked() -> None:
    needs_more = {
        ReasonCode.TOO_LARGE,
        ReasonCode.INCOMPATIBLE_SCHEMA,
        ReasonCode.EVENT_IN_FUTURE,
        ReasonCode.EVENT_TOO_OLD,
    }
    assert {kind.reason for kind in ALL_KINDS} == set(ReasonCode) - needs_more


def test_broken_json_is_broken_and_the_rest_is_not(market_run: Any) -> None:
    def strictly(text: str) -> object:
        def refuse(name: str) -> None:
            raise ValueError(f"{name} is not JSON")

        return json.loads(text, parse_constant=refuse)

    seen = 0
    for kind in KINDS_OF_TOPIC["ad_impressions"]:
        for value in _broken(market_run, kind.name):
            seen += 1
            if kind.reason is ReasonCode.INVALID_ENCODING:
                with pytest.raises(UnicodeDecodeError):
                    value.decode()
            elif kind.reason is ReasonCode.MALFORMED_JSON:
                with pytest.raises(ValueError, match=r"."):
                    strictly(value.decode())
            elif kind.reason is not ReasonCode.TOO_DEEP:
                parsed = strictly(value.decode())
                assert isinstance(parsed, dict) == (kind.reason is not ReasonCode.NOT_AN_OBJECT)
    assert seen > 20


def test_csv_kinds_break_what_they_say(market_run: Any) -> None:
    seen = 0
    for kind in KINDS_OF_TOPIC["clicks_conversions"]:
        for value in _broken(market_run, kind.name):
            seen += 1
            if kind.reason is ReasonCode.INVALID_ENCODING:
                with pytest.raises(UnicodeDecodeError):
                    value.decode()
            elif kind.reason is ReasonCode.MALFORMED_CSV:
                with pytest.raises(csv.Error):
                    list(csv.reader(io.StringIO(value.decode()), strict=True))
            else:
                (row,) = csv.reader(io.StringIO(value.decode()), strict=True)
                right_count = len(row) in {16, 17}
                if kind.name in {"csv_too_few", "csv_too_many"}:
                    # One column less than version 2 is the number of version 1: the version
                    # header gives it away.
                    assert not right_count or kind.name == "csv_too_few"
                else:
                    assert right_count
    assert seen > 5
