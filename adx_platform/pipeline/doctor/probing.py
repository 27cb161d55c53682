"""What a probe says, and running many of them side by side.

Belongs here: verdicts, isolation, the bound in time. Does not belong here: any probe.

A probe that breaks or hangs is a finding like any other: the others are heard all the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeAlias


class Verdict(StrEnum):
    """How a part is: a warning does not keep the platform from working now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out about one part.

    Attributes:
        part: what was looked at.
        verdict: how it is.
        cause: one line: what is the case.
        remedy: what to do about it; empty where all is well.
    """

    part: str
    verdict: Verdict
    cause: str
    remedy: str = ""


Look: TypeAlias = Callable[[], Iterable[Diagnosis]]


@dataclass(frozen=True, slots=True)
class Probe:
    """One look at one part, which may give several diagnoses."""

    part: str
    look: Look = field(repr=False)


def ok(part: str, cause: str) -> Diagnosis:
    """All is well."""
    return Diagnosis(part, Verdict.OK, cause)


def warning(part: str, cause: str, remedy: str) -> Diagnosis:
    """It works, but a person should look at it."""
    return Diagnosis(part, Verdict.WARNING, cause, remedy)


def failed(part: str, cause: str, remedy: str) -> Diagnosis:
    """It does not work."""
    return Diagnosis(part, Verdict.FAILED, cause, remedy)


def examine(
    probes: Sequence[Probe], *, timeout_seconds: float, mask: Callable[[str], str]
) -> list[Diagnosis]:
    """Run all probes at once and collect what they say, in the order of ``probes``.

    Args:
        probes: what to look at.
        timeout_seconds: for all of them together, as they run side by side.
        mask: applied to every text.
    """
    runs = [_Run(probe) for probe in probes]
    for run in runs:
        run.thread.start()
    deadline = time.monotonic() + timeout_seconds
    for run in runs:
        run.thread.join(max(0.0, deadline - time.monotonic()))
    return [
        Diagnosis(item.part, item.verdict, _line(mask(item.cause)), _line(mask(item.remedy)))
        for run in runs
        for item in run.diagnoses(timeout_seconds)
    ]


class _Run:
    """One probe in a thread of its own; a thread that hangs does not keep the process alive."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._found: list[Diagnosis] | None = None
        self._broken = _Caught()
        self.thread = threading.Thread(target=self._work, name=f"doctor-{probe.part}", daemon=True)

    def _work(self) -> None:
        with self._broken:
            self._found = list(self._probe.look())

    def diagnoses(self, waited_seconds: float) -> list[Diagnosis]:
        part = self._probe.part
        if self._found is not None:
            return self._found
        if self._broken.error is not None:
            error = self._broken.error
            return [
                failed(
                    part,
                    f"the look at it broke off: {type(error).__name__}: {error}",
                    "this is not foreseen: run `adx --verbose doctor`, and report it",
                )
            ]
        return [
            failed(
                part,
                f"no answer within {waited_seconds:g} s",
                "check the network and the disk behind it, or wait longer: `adx doctor --timeout`",
            )
        ]


class _Caught:
    """Keeps whatever ends the block: a probe's own bug must not hide what the others say."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self.error = error
        return True


def _line(text: str) -> str:
    return " ".join(text.split())
