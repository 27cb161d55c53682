"""One simulated market that the tests of this folder read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from adx_platform.simulate import MarketConfig, SimulationReport, simulate


@dataclass(frozen=True)
class MarketRun:
    config: MarketConfig
    folder: Path
    report: SimulationReport

    @functools.cached_property
    def messages(self) -> pl.DataFrame:
        return self.truth("messages")

    def truth(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "truth" / f"{name}.parquet")

    def wire(self, topic: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "wire" / f"{topic}.parquet")

    def accepted_wire(self, topic: str, record_type: str) -> pl.DataFrame:
        """Wire messages of the accepted events of a record type, with their verdicts."""
        accepted = self.messages.filter(
            (pl.col("topic") == topic)
            & (pl.col("record_type") == record_type)
            & (pl.col("expected_disposition") == "accepted")
        )
        return self.wire(topic).join(accepted, on=["partition", "sequence"])


@pytest.fixture(scope="session")
def market_run(tmp_path_factory: pytest.TempPathFactory) -> MarketRun:
    config = MarketConfig(seed=11, events=40_000)
    folder = tmp_path_factory.mktemp("market")
    return MarketRun(config, folder, simulate(config, folder))
