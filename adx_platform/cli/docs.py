"""`adx docs`: the pages of the warehouse's models, as one file.

Belongs here: the command. Does not belong here: the pages (``orchestration.dbt_docs``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adx_platform.cli.inputs import checked_settings
from adx_platform.cli.output import stderr, stdout

_DEFAULT = Path("adx-docs.html")


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("docs")(docs)


def docs(
    path: Annotated[Path, typer.Argument(help="File to write.")] = _DEFAULT,
) -> None:
    """Write what every mart and column means, and what it is made from, to one HTML file.

    The page opens without a network or a server. It asks the built warehouse for types, so
    on DuckDB not while a build is under way.
    """
    settings = checked_settings()
    # Dagster and dbt take four seconds to import: only the commands that need them do so.
    from adx_platform.orchestration.dbt_docs import write_docs  # noqa: PLC0415 - slow

    with stderr.status("dbt writes its pages"):
        written = write_docs(settings, path)
    stdout.print(f"wrote {written}", markup=False, soft_wrap=True)
