"""What commands check before they start: stream names, and the lake's address.

Belongs here: turning what was typed or set wrongly into :class:`WrongUsage`. Does not belong here:
reading the settings themselves (``settings``), or errors that come up on the way.
"""

from __future__ import annotations

from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.output import stderr
from adx_platform.contracts.streams import STREAMS
from adx_platform.lake.storage import LakeStorage
from adx_platform.pipeline.platform import Platform, open_platform
from adx_platform.settings import Settings, current_settings

FromBrokerOption = Annotated[
    bool,
    typer.Option(
        "--from-broker", help="Read from the broker what is past the landing's retention."
    ),
]


def known_streams(wanted: list[str] | None) -> list[str]:
    """The streams asked for, each once, or all of them.

    Raises:
        WrongUsage: a name is not a stream.
    """
    for name in wanted or []:
        if name not in STREAMS:
            raise WrongUsage(f"no stream {name!r}; choose from {', '.join(STREAMS)}")
    return list(dict.fromkeys(wanted or STREAMS))


def checked_settings() -> Settings:
    """This process's settings, after a look at what only the lake can judge.

    Raises:
        WrongUsage: the lake's URI has a scheme that the platform does not know.
    """
    settings = current_settings()
    try:
        LakeStorage.from_settings(settings)
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    return settings


def opened_platform() -> Platform:
    """The platform of this process's settings; nothing connects yet.

    Raises:
        WrongUsage: the lake's URI has a scheme that the platform does not know.
        AdxError: the reference data cannot be read.
    """
    return open_platform(checked_settings())


def streams_at_broker(platform: Platform, wanted: list[str] | None) -> list[str]:
    """The streams asked for; without a wish those whose topics exist, and a note on the others.

    Raises:
        WrongUsage: a name is not a stream.
    """
    names = known_streams(wanted)
    if wanted:
        return names
    there = platform.kafka.topics()
    missing = [name for name in names if name not in there]
    if missing:
        stderr.print(
            f"passed over, without a topic at the broker: {', '.join(missing)} "
            "(`adx topics --create` makes them)"
        )
    return [name for name in names if name in there]
