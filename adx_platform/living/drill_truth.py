"""Whether the lake holds what was really sent: the last question of a drill.

Belongs here: comparing the market's truth and the conservation of the whole lake. Does not belong
here: the recount itself (``quality``) or the truth (``simulate.live_truth``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adx_platform.contracts.dispositions import Disposition
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.storage import LakeStorage
from adx_platform.quality.conservation import OffsetEquation
from adx_platform.quality.lake_rows import refined_window
from adx_platform.settings import Settings
from adx_platform.simulate.live_orders import live_dir
from adx_platform.simulate.live_truth import sent_until


@dataclass(frozen=True, slots=True)
class Comparison:
    """One stream: what was sent, and what the lake says of it.

    ``sent`` and ``stored`` count messages, ``expected_rejects`` and ``rejects`` those among them
    that are no good; ``problems`` are sentences.
    """

    stream: str
    sent: int
    stored: int
    expected_rejects: int
    rejects: int
    problems: tuple[str, ...]


def compare_with_truth(settings: Settings) -> list[Comparison]:
    """Compare every stream; the market must have stopped, and the lake must have caught up.

    Raises:
        LakeFileDamaged: a file of the lake cannot be read.
    """
    storage = LakeStorage.from_settings(settings)
    truth = sent_until(live_dir(settings))
    return [
        comparison(
            stream.name, truth.get(stream.topic, {}), refined_window(storage, stream).equations
        )
        for stream in STREAMS.values()
    ]


def comparison(
    stream: str, expected: Mapping[str, int], equations: Iterable[OffsetEquation]
) -> Comparison:
    """Compare one stream.

    Args:
        stream: its name.
        expected: what the market expects, by disposition.
        equations: the recount of the lake, one per partition.
    """
    equations = list(equations)
    counted: Counter[str] = Counter()
    for equation in equations:
        for disposition in Disposition:
            counted[disposition.value] += int(getattr(equation, disposition.value))
    stored = counted.total() - counted[Disposition.ABSENT.value]
    sent = sum(expected.values())
    rejects, wanted = counted[Disposition.REJECTED.value], expected.get("rejected", 0)
    problems = [equation.explain() for equation in equations if equation.verdict != "holds"]
    if lost := counted[Disposition.LOST.value]:
        problems.append(f"{stream}: {lost:,} messages were lost at the broker")
    if sent != stored:
        problems.append(f"{stream}: {sent:,} messages were sent, the lake accounts for {stored:,}")
    if rejects != wanted:
        problems.append(f"{stream}: {wanted:,} rejects were expected, the lake has {rejects:,}")
    return Comparison(stream, sent, stored, wanted, rejects, tuple(problems))
