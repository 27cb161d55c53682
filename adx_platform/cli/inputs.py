"""What commands check before they start: stream names, and that the platform can be opened.

Belongs here: turning what was typed or set wrongly into :class:`WrongUsage`. Does not belong here:
reading the settings themselves (``settings``), or errors that come up on the way.
"""

from __future__ import annotations

from adx_platform.cli.errors import WrongUsage
from adx_platform.contracts.streams import STREAMS
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.settings import current_settings


def known_streams(wanted: list[str] | None) -> list[str]:
    """The streams asked for, each once, or all of them.

    Raises:
        WrongUsage: a name is not a stream.
    """
    for name in wanted or []:
        if name not in STREAMS:
            raise WrongUsage(f"no stream {name!r}; choose from {', '.join(STREAMS)}")
    return list(dict.fromkeys(wanted or STREAMS))


def opened_platform() -> Platform:
    """The platform of this process's settings; nothing connects yet.

    Raises:
        WrongUsage: a setting has a value that no part of the platform can use.
        AdxError: the reference data cannot be read.
    """
    settings = current_settings()
    try:
        return open_platform(settings)
    except ValueError as error:
        raise WrongUsage(str(error)) from error
