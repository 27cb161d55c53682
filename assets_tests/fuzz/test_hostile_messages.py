"""The short form of `python -m assets_tests.fuzz`: the same messages in every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from adx_platform.contracts.streams import STREAMS
from assets_tests.fuzz.oracle import BATCH, Fuzzer
from assets_tests.fuzz.seeds import context_of, make_market, seeds_of

pytestmark = pytest.mark.slow

BATCHES = 8
SEED = 20261127


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("market")
    make_market(home)
    return home


@pytest.mark.parametrize("stream", list(STREAMS))
def test_every_rule_holds(market: Path, stream: str) -> None:
    known = STREAMS[stream]
    fuzzer = Fuzzer(context_of(market, known), seeds_of(market, known), SEED)
    for _ in range(BATCHES):
        fuzzer.batch()
    tally = fuzzer.tally
    assert tally.messages == BATCH * BATCHES
    # It is no test if nothing gets through, or everything does.
    assert tally.dispositions["accepted"] > BATCH * BATCHES / 50
    assert tally.dispositions["rejected"] > BATCH * BATCHES / 4
    assert len(tally.reasons) >= 6
