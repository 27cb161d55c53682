"""The one error type of the command line itself.

Belongs here: what tells wrong usage from work that failed. Does not belong here: anything that
takes time to import, because every command does import it.
"""

from __future__ import annotations

from adx_platform.errors import AdxError


class WrongUsage(AdxError):  # noqa: N818 - it names the state, like the platform's other errors
    """An argument or a setting cannot be used; nothing was done. The exit code is 2."""
