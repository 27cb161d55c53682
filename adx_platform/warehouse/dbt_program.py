"""`python -m adx_platform.warehouse.dbt_program`: dbt's command line, without work for nobody.

Belongs here: how the interpreter runs dbt. Does not belong here: which command, project or target
(``orchestration.dbt_project``), or what dbt does to the warehouse.
"""

from __future__ import annotations

import gc


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


if __name__ == "__main__":
    main()
