"""The pages of the dbt project as one file, which opens without a network or a server.

Belongs here: asking dbt for them. Does not belong here: the manifest that the assets are made from
(``dbt_project``), or the descriptions themselves (``dbt_project/models``).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from adx_platform.errors import AdxError
from adx_platform.orchestration.dbt_project import project_dir, run_dbt
from adx_platform.settings import Settings

_PAGES = "static_index.html"


class DocsError(AdxError):
    """dbt could not write its pages; the message has dbt's own."""


def write_docs(settings: Settings, path: Path) -> Path:
    """Write models, columns, tests, lineage, metrics and exposures to the file ``path``.

    The built warehouse is asked for types and sizes of tables, so it must not be in use by a build
    where the engine has one writer.

    Returns:
        ``path``.

    Raises:
        DocsError: dbt failed.
        ManifestError: there is no dbt project.
        OSError: the file cannot be written.
    """
    # Not where the assets' manifest is: dbt writes another one beside the pages.
    target = settings.dbt_target_dir / "docs"
    target.mkdir(parents=True, exist_ok=True)
    done = run_dbt(settings, project_dir(), target, "docs", "generate", "--static")
    if done.returncode != 0:
        raise DocsError(
            f"dbt could not write the pages, maybe because a build is under way:\n"
            f"{done.stdout}{done.stderr}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(target / _PAGES, path)
    return path.absolute()
