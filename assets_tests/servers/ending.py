"""How a test's server ends: asked first, killed if it does not listen."""

from __future__ import annotations

import subprocess

_PATIENCE_SECONDS = 20.0


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process and reap it."""
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
