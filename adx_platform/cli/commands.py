"""The list of commands, each imported only when it is the one that was asked for.

Belongs here: names, modules and the one-line help. Does not belong here: options or what a command
does (its own module).

Importing every command takes 3.5 s of CPU (polars, DuckDB, pyarrow, the Kafka client), so that
``adx --help`` and shell completion would be unbearable; this way they take 0.8 s, and each command
pays for what it uses alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

if TYPE_CHECKING:
    # Typer's copy of Click has no public name for these two; they are needed for types alone.
    from typer._click import Command, Context


class CommandEntry(NamedTuple):
    """One line of ``adx --help``; ``module`` has a ``register(app)`` that adds the command."""

    name: str
    module: str
    help: str


COMMANDS = (
    CommandEntry(
        "demo",
        "demo",
        "Simulate an ad market with faults and take it through the whole line, then report.",
    ),
    CommandEntry(
        "up",
        "services",
        "Start the local services in the background: the broker, the Dagster UI and daemon.",
    ),
    CommandEntry(
        "down",
        "services",
        "Stop what `adx up` or `adx dev` started; the broker keeps its messages.",
    ),
    CommandEntry(
        "status",
        "services",
        "Say which local services run. The exit code is 1 if one of them does not.",
    ),
    CommandEntry(
        "dev", "dev", "Run the living platform in the foreground: broker, market, loop, Dagster."
    ),
    CommandEntry(
        "drill",
        "drill",
        "Break the living platform twelve times and print what was found, mended and escalated.",
    ),
    CommandEntry(
        "simulate", "market", "Make an ad market with faults, its truth beside it, and send it."
    ),
    CommandEntry(
        "topics",
        "kafka",
        "List the broker's topics: identity, partitions, and how far each reaches.",
    ),
    CommandEntry(
        "lag",
        "kafka",
        "Show, per partition, what the broker has and what is landed and refined of it.",
    ),
    CommandEntry(
        "produce", "kafka", "Frame a file's records as the topic's messages and send them."
    ),
    CommandEntry(
        "ingest", "ingest", "Land and refine everything that the broker has now, exactly once."
    ),
    CommandEntry(
        "reprocess",
        "ingest",
        "Refine a past range again from its landed bytes, replacing exactly that range.",
    ),
    CommandEntry(
        "maintain",
        "maintain",
        "Merge the lake's small files, drop expired raw bytes, delete files nothing refers to.",
    ),
    CommandEntry(
        "build",
        "warehouse",
        "Load what was refined, build and test the models, publish the marts if all is green.",
    ),
    CommandEntry(
        "train", "train", "Learn what each campaign is worth to the data-driven attribution models."
    ),
    CommandEntry(
        "query", "query", "Run one query on the current published snapshot (schema `marts`)."
    ),
    CommandEntry(
        "trace",
        "trace",
        "Trace a row by its `load_id` to the lake commit and the Kafka offsets that it came from.",
    ),
    CommandEntry(
        "report",
        "report",
        "Show events per stage, the conservation verdict, campaigns and attribution.",
    ),
    CommandEntry(
        "docs",
        "docs",
        "Write what every mart and column means, and what it is made from, to one HTML file.",
    ),
    CommandEntry(
        "attribution",
        "attribution",
        "Print credit per channel and attribution model, from tables of paths.",
    ),
    CommandEntry(
        "doctor",
        "doctor",
        "Look at every part of the installation: how it is, why, and what to do about it.",
    ),
    CommandEntry(
        "settings",
        "settings",
        "Print every setting: its value now, and where that comes from.",
    ),
    CommandEntry("rejects", "rejects", "Rejected records: list them, look at their raw bytes."),
    CommandEntry(
        "incidents", "incidents", "Incidents: list them, read their audit, take one over."
    ),
    CommandEntry(
        "repair",
        "repair",
        "Mend damaged lake files: land and refine again exactly what they held.",
    ),
    CommandEntry(
        "erase",
        "erase",
        "Erase a person: in the lake, the warehouse and the published snapshots.",
    ),
)


class LazyCommand(TyperCommand):
    """Stands for a command in the list; the command itself takes over once it is called."""

    def __init__(self, entry: CommandEntry) -> None:
        super().__init__(name=entry.name, help=entry.help)
        self._entry = entry

    def load(self) -> Command:
        """The command itself."""
        app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        import_module(f"adx_platform.cli.{self._entry.module}").register(app)
        return get_group(app).commands[self._entry.name]

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Context | None = None,
        **extra: Any,  # noqa: ANN401 - Typer's signature
    ) -> Context:
        """Parse the arguments as the command itself does, which the context then names."""
        return self.load().make_context(info_name, args, parent, **extra)


def add_commands(group: TyperGroup) -> None:
    """Add every command to ``group``, in the order of the list."""
    for entry in COMMANDS:
        group.add_command(LazyCommand(entry))
