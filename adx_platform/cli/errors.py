"""The one error type of the command line itself, and what is wrong with settings in words.

Belongs here: what tells wrong usage from work that failed. Does not belong here: anything that
takes time to import, because every command does import it.
"""

from __future__ import annotations

from pydantic import ValidationError

from adx_platform.errors import AdxError


class WrongUsage(AdxError):  # noqa: N818 - it names the state, like the platform's other errors
    """An argument or a setting cannot be used; nothing was done. The exit code is 2."""


def settings_problems(error: ValidationError) -> list[str]:
    """One line for each thing that is wrong with the settings: the variable, and why."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        path = "__".join(str(part).upper() for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            reason = "there is no such setting"
        else:
            reason = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{f'ADX_{path}: ' if path else ''}{reason}")
    return lines
