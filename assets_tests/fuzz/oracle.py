"""What must hold of every batch, whatever is in it.

Belongs here: the batch, the rules and their violation. Does not belong here: making messages
(``mutations``), or how long to go on.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.envelope import RAW_SCHEMA
from adx_platform.refine.batch import refine_batch
from adx_platform.refine.context import RefineContext
from adx_platform.refine.decode import decode
from assets_tests.fuzz.mutations import mutated

BATCH: Final = 400
"""Messages a batch; every fourth one is left as it was."""

SLOWEST_SECONDS: Final = 5.0
"""CPU of one batch: what takes longer is a way to stop the line (an ordinary batch takes 0.1 s)."""


class BrokenRuleError(AssertionError):
    """A rule did not hold; the message says which, ``messages`` is the batch that shows it."""

    def __init__(self, rule: str, messages: Sequence[bytes | None]) -> None:
        super().__init__(rule)
        self.rule = rule
        self.messages = messages


@dataclass(slots=True)
class Tally:
    """What a run has seen: messages, their dispositions and reasons, the slowest batch."""

    messages: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    dispositions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


class Fuzzer:
    """One stream's messages, mutated; the same seed gives the same batches."""

    def __init__(self, context: RefineContext, seeds: pl.DataFrame, seed: int) -> None:
        """Prepare.

        Args:
            context: of the stream.
            seeds: columns ``value``, ``headers`` and ``kafka_timestamp`` of sound messages.
            seed: any integer.
        """
        self._context = context
        self._seeds = seeds.filter(pl.col("value").bin.size() > 0)
        self._values: list[bytes] = self._seeds["value"].to_list()
        self._rng = random.Random(f"{context.stream.name}/{seed}")
        alone = decode(self._raw(self._values, range(len(self._values))), context)
        self._sound = set(alone.frame["row"].to_list())
        self._decoded = dict(zip(alone.frame["row"], _without_row(alone.frame), strict=True))
        if not self._sound:
            raise ValueError(f"no seed of {context.stream.name} decodes")
        self.tally = Tally()

    def batch(self) -> None:
        """Make one batch and hold it against the rules.

        Raises:
            BrokenRuleError: a rule did not hold.
        """
        rng = self._rng
        picked = rng.choices(sorted(self._sound), k=BATCH)
        untouched = [at for at in range(BATCH) if at % 4 == 0]
        values: list[bytes | None] = [
            self._values[seed] if at % 4 == 0 else self._hostile(self._values[seed])
            for at, seed in enumerate(picked)
        ]
        raw = self._raw(values, picked)
        began = time.process_time()
        try:
            decoded = decode(raw, self._context)
            refined = refine_batch(raw, self._context)
        # Whatever it is: a batch that raises stops the line, which is what is looked for.
        except Exception as error:
            raise BrokenRuleError(f"{type(error).__name__}: {error}", values) from error
        seconds = time.process_time() - began
        if seconds > SLOWEST_SECONDS:
            raise BrokenRuleError(f"a batch took {seconds:.1f} s of CPU", values)
        rows = [*decoded.frame["row"].to_list(), *decoded.rejects["row"].to_list()]
        if sorted(rows) != list(range(BATCH)):
            raise BrokenRuleError("a message is in neither frame, or in both", values)
        found = dict(zip(decoded.frame["row"], _without_row(decoded.frame), strict=True))
        for at in untouched:
            if found.get(at) != self._decoded[picked[at]]:
                raise BrokenRuleError(f"message {at} was read otherwise than it is alone", values)
        self._judge(refined, values)
        self._count(refined, seconds)

    def _judge(self, refined: pl.DataFrame, values: list[bytes | None]) -> None:
        if sorted(refined["offset"]) != list(range(BATCH)):
            raise BrokenRuleError("refined rows are not those of the batch, each once", values)
        unexplained = refined.filter(
            (pl.col("disposition") == Disposition.REJECTED.value)
            & (pl.col("reason_code").is_null() | (pl.col("reason").str.len_chars() == 0))
        )
        if unexplained.height:
            raise BrokenRuleError("a reject has no reason", values)
        nameless = refined.filter(
            (pl.col("disposition") != Disposition.REJECTED.value) & pl.col("event_id").is_null()
        )
        if nameless.height:
            raise BrokenRuleError("an accepted row has no event id", values)

    def _count(self, refined: pl.DataFrame, seconds: float) -> None:
        tally = self.tally
        tally.messages += refined.height
        tally.seconds += seconds
        tally.slowest = max(tally.slowest, seconds)
        tally.dispositions.update(refined["disposition"].to_list())
        tally.reasons.update(refined["reason_code"].drop_nulls().to_list())

    def _hostile(self, value: bytes) -> bytes | None:
        return None if self._rng.random() < 0.005 else mutated(value, self._values, self._rng)

    def _raw(self, values: Sequence[bytes | None], picked: Sequence[int]) -> pl.DataFrame:
        seeds = self._seeds[list(picked)]
        rows = pl.DataFrame(
            {
                "topic_id": ["fuzz"] * len(values),
                "partition": [0] * len(values),
                "offset": range(len(values)),
                "kafka_timestamp": seeds["kafka_timestamp"],
                "value": pl.Series(values, dtype=pl.Binary),
                "headers": seeds["headers"],
            },
            schema_overrides=RAW_SCHEMA,
        )
        absent = [pl.lit(None, RAW_SCHEMA[n]).alias(n) for n in RAW_SCHEMA if n not in rows.columns]
        return rows.with_columns(absent).select(RAW_SCHEMA.names())


def _without_row(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    # As text: NaN is not equal to itself, and nested values do not hash.
    return [tuple(map(repr, row)) for row in frame.drop("row").iter_rows()]
