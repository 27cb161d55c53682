"""`python -m adx_platform.warehouse.dbt_program`: dbt's command line, without work for nobody.

Belongs here: how the interpreter runs dbt. Does not belong here: which command, project or target
(``orchestration.dbt_project``), or what dbt does to the warehouse.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from functools import partial


def main() -> None:
    """Run dbt with the arguments of this process, and exit with its code.

    Without garbage collection: a dbt command lives for seconds and keeps nearly all that it makes
    to its end. The collector walked through its imports and its manifest over and over, and through
    everything at exit, to free 30 MB: a fifth of the CPU time of building an hour (measured
    2026-11).
    """
    gc.disable()
    from mashumaro.config import BaseConfig  # noqa: PLC0415 - only for dbt

    # Code that reads and writes a class is made when it is first needed: most never is (0.6 s).
    BaseConfig.lazy_compilation = True
    from dbt.cli.main import cli  # noqa: PLC0415 - its imports are a third of the time saved

    skip_unheard_events()
    keep_parse_of_any_connection()
    if os.environ.get("ADX_DBT_TARGET") == "redshift":
        name_redshift_connections()
    try:
        cli(prog_name="dbt")
    finally:
        # The interpreter collects at its end even so; what is frozen it passes over.
        gc.freeze()


def skip_unheard_events() -> None:
    """Let dbt make no text of an event that no log will show.

    It has some thirty events of level debug per model. Each becomes a message, then for each log a
    line in which the value of every secret is looked for, and only then is the level asked.
    """
    from dbt_common.events.base_types import BaseEvent, EventLevel  # noqa: PLC0415 - as dbt's own
    from dbt_common.events.event_manager import EventManager  # noqa: PLC0415 - as dbt's own

    fire = EventManager.fire_event
    unheard = EventLevel.DEBUG

    def fire_if_heard(
        manager: EventManager,
        e: BaseEvent,
        level: EventLevel | None = None,
        node: object = None,
        force_warn_or_error_handling: bool = False,
    ) -> None:
        if (level or e.level_tag()) is unheard and not any(
            logger.level is unheard for logger in manager.loggers
        ):
            return
        fire(manager, e, level, node, force_warn_or_error_handling)

    # A method is replaced on purpose: dbt makes its manager itself, and has no setting for this.
    EventManager.fire_event = fire_if_heard  # type: ignore[assignment,method-assign]


def keep_parse_of_any_connection() -> None:
    """Let dbt start from a parse that was made for another path, host, user or memory limit.

    It would parse everything again (11 s of CPU, 2026-11), since a project can read the whole
    connection. Ours reads the schema, and has the database in the names of its relations.
    """
    from dbt.artifacts.resources.base import FileHash  # noqa: PLC0415 - as dbt's own
    from dbt.contracts.graph.manifest import ManifestStateCheck  # noqa: PLC0415 - as dbt's own
    from dbt.parser.manifest import ManifestLoader  # noqa: PLC0415 - as dbt's own

    whole: Callable[[ManifestLoader], ManifestStateCheck] = (
        ManifestLoader.build_manifest_state_check
    )

    def of_names(loader: ManifestLoader) -> ManifestStateCheck:
        check = whole(loader)
        credentials = loader.root_project.credentials
        # On Hive a database is a schema, and there is no other.
        names = (credentials.type, credentials.database or "", credentials.schema)
        check.profile_hash = FileHash.from_contents("\0".join(names))
        return check

    # Replaced on purpose, as above.
    ManifestLoader.build_manifest_state_check = of_names  # type: ignore[method-assign]


def name_redshift_connections() -> None:
    """Tell Redshift's driver who connects, as dbt's adapter does not.

    A cluster's list of sessions then says so. Without a name the driver looks for the calling
    module among all modules of all callers, for every connection, and dbt opens one for every model
    and test: a third of what dbt's threads did under pytest; in a process of its own, whose stack
    is short, no difference was seen (2026-11).
    """
    import redshift_connector  # noqa: PLC0415 - slow, and other engines do without

    redshift_connector.connect = partial(redshift_connector.connect, application_name="adx dbt")


if __name__ == "__main__":
    main()
