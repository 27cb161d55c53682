"""Named instants at which a test may kill the process, to prove that nothing is lost or doubled.

Belongs here: the one function that the pipeline calls at each instant. Does not belong here: any
other way of misbehaving. In production the environment variable is unset and a call costs one
dictionary look-up.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "ADX_FAULT_KILL_AT"
_hits: dict[str, int] = {}


def reach(name: str) -> None:
    """Die by SIGKILL at the n-th call when ``ADX_FAULT_KILL_AT`` is ``name:n`` (n: 1)."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    point, _, count = wanted.partition(":")
    if point != name:
        return
    _hits[name] = _hits.get(name, 0) + 1
    if _hits[name] == int(count or "1"):
        # Windows has no SIGKILL; os.abort() is as abrupt.
        if hasattr(signal, "SIGKILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        os.abort()
