"""The `adx` application: the one place where errors become messages and exit codes.

Belongs here: the options of `adx` itself and the exit codes (0 done, 1 failed, 2 wrong usage or
settings, 130 interrupted). Does not belong here: which commands there are (``commands``).
"""

from __future__ import annotations

import logging
import sys
from typing import cast

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from adx_platform.cli.commands import add_commands
from adx_platform.cli.errors import WrongUsage, settings_problems
from adx_platform.cli.output import stderr
from adx_platform.errors import AdxError
from adx_platform.observability.logs import configure
from adx_platform.observability.masking import Masker, masker_for
from adx_platform.settings import LogSettings, current_settings

_INTERRUPTED = 130
_SERVICE = "adx"

_app = typer.Typer(
    name="adx",
    help="The adx_platform command line: from Kafka to trusted campaign marts.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@_app.callback()
def _configure(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is done, to stderr."),
) -> None:
    quiet = None if verbose else logging.WARNING
    try:
        settings = current_settings()
    except ValidationError:
        # The command itself says what is wrong with them; some commands need none.
        configure(LogSettings(), service=_SERVICE, masker=Masker(), level=quiet)
        return
    configure(settings.logs, service=_SERVICE, masker=masker_for(settings), level=quiet)


def command_line() -> TyperGroup:
    """`adx` with all its commands."""
    group = cast("TyperGroup", typer.main.get_command(_app))
    add_commands(group)
    return group


def main() -> None:
    """Run the command line; the process's exit code says whether it worked."""
    try:
        command_line()(prog_name="adx")
    except WrongUsage as error:
        _fail(str(error), code=2)
    except AdxError as error:
        _fail(str(error), code=1)
    except ValidationError as error:
        _fail(_settings_problems(error), code=2)
    except SystemExit as ended:
        # Typer answers Ctrl-C with this exit code and without a word.
        if ended.code == _INTERRUPTED:
            _fail("interrupted; run the same command again to continue", code=_INTERRUPTED)
        raise


def _settings_problems(error: ValidationError) -> str:
    lines = [f"  {problem}" for problem in settings_problems(error)]
    return "\n".join(["the settings are not valid:", *lines])


def _fail(message: str, *, code: int) -> None:
    stderr.print("error:", style="bold red", end=" ")
    # Not wrapped at the console's width: a path or a command in it can be copied.
    stderr.print(message, markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
