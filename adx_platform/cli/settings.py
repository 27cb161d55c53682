"""`adx settings`: what is configured, and the configuration reference.

Belongs here: the command's three forms. Does not belong here: reading the settings classes
(``settings_reference``).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.output import print_json, stdout, table
from adx_platform.observability.masking import masker_for
from adx_platform.settings import current_settings
from adx_platform.settings_reference import effective_settings, markdown


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("settings")(show_settings)


def show_settings(
    *,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what is not the default.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the configuration reference instead.")
    ] = False,
) -> None:
    """Print every setting: its value now, and where that comes from.

    Secrets are masked. Set a value by its environment variable; --json and --markdown say what each
    means.
    """
    if as_markdown:
        if as_json or changed:
            raise WrongUsage("--markdown prints the reference alone: leave the other options out")
        sys.stdout.write(markdown())
        return
    settings = current_settings()
    mask = masker_for(settings)
    rows = [
        (item.setting, None if item.value is None else mask(item.value), item.source)
        for item in effective_settings(settings)
        if not changed or item.source != "default"
    ]
    if as_json:
        print_json(
            [
                {
                    "variable": setting.variable,
                    "value": value,
                    "source": source,
                    "secret": setting.secret,
                    "default": setting.default,
                    "meaning": setting.meaning,
                }
                for setting, value, source in rows
            ]
        )
        return
    # Without what it means: the names alone take half of a terminal's width.
    body = [(setting.variable, value, source) for setting, value, source in rows]
    stdout.print(table("Settings", ("variable", "value", "from"), body, text=(0, 1, 2)))
