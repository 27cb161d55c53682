"""`adx simulate`: make a believable ad market, and send it.

Belongs here: the command, its progress, and putting the simulated reference files where the
platform looks for reference data. Does not belong here: the market itself (``simulate``).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from adx_platform.cli.errors import WrongUsage
from adx_platform.cli.live import (
    DEFAULT_HISTORY_DAYS,
    DEFAULT_PER_HOUR,
    DEFAULT_SPEED,
    HistoryOption,
    PerHourOption,
    SpeedOption,
    follow_market,
)
from adx_platform.cli.output import print_json, progress_bar, stderr, stdout
from adx_platform.codecs.registry import open_registry
from adx_platform.contracts.streams import STREAMS
from adx_platform.errors import AdxError
from adx_platform.settings import Settings, current_settings
from adx_platform.simulate.config import MarketConfig
from adx_platform.simulate.feeding import FeedReport, feed_topic
from adx_platform.simulate.simulator import simulate

DEFAULT_EVENTS = 200_000
DEFAULT_DAYS = 3
DEFAULT_SEED = 20260302
_MARKER = "market.json"

EventsOption = Annotated[
    int,
    typer.Option(help="Messages over the three topics (within 3 %).", envvar="ADX_DEMO_EVENTS"),
]
DaysOption = Annotated[int, typer.Option(min=1, help="Simulated days.", envvar="ADX_DEMO_DAYS")]
SeedOption = Annotated[int, typer.Option(help="Same seed, same bytes.", envvar="ADX_DEMO_SEED")]


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    app.command("simulate")(simulate_market)


def simulate_market(
    events: EventsOption = DEFAULT_EVENTS,
    days: DaysOption = DEFAULT_DAYS,
    seed: SeedOption = DEFAULT_SEED,
    start: Annotated[
        datetime | None, typer.Option(help="First simulated instant, UTC.", formats=["%Y-%m-%d"])
    ] = None,
    *,
    send: Annotated[bool, typer.Option(help="Send the messages to the broker.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Go on for ever, on a faster clock, in place of --events."),
    ] = False,
    speed: SpeedOption = DEFAULT_SPEED,
    per_hour: PerHourOption = DEFAULT_PER_HOUR,
    history_days: HistoryOption = DEFAULT_HISTORY_DAYS,
) -> None:
    """Make an ad market with faults, its truth beside it, and send it.

    Written to the simulation folder: the messages, the reference data, and what became of each
    event. Running it again with the same arguments continues: nothing is made or sent twice.

    With `--follow` the market has no end: some days at once, then on an accelerated clock until it
    is stopped. Started again, it goes on where it was.
    """
    settings = current_settings()
    if follow:
        follow_market(
            settings,
            seed=seed,
            start=start,
            speed=speed,
            per_hour=per_hour,
            history_days=history_days,
        )
        return
    config = market_config(settings, events=events, days=days, seed=seed, start=start)
    messages = ensure_market(settings, config)
    feeds = feed_all(settings) if send else []
    if as_json:
        print_json(
            {
                "messages": messages,
                "folder": settings.simulation_dir,
                "sent": {f.topic: f.sent for f in feeds},
                "already_there": {f.topic: f.already_there for f in feeds},
            }
        )
        return
    total = sum(messages.values())
    stdout.print(f"{total:,} messages in {settings.simulation_dir}", markup=False, soft_wrap=True)
    for feed in feeds:
        stdout.print(
            f"  {feed.topic}: sent {feed.sent:,}, already at the broker {feed.already_there:,}"
        )


def market_config(
    settings: Settings,
    *,
    events: int,
    days: int,
    seed: int,
    start: datetime | None = None,
) -> MarketConfig:
    """The simulator's configuration for this platform's topics and time bounds.

    Raises:
        WrongUsage: no market can be made with these numbers.
    """
    try:
        config = MarketConfig(
            seed=seed,
            events=events,
            days=days,
            partitions_per_topic=settings.kafka.partitions_per_topic,
            bounds=settings.refine,
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    return config if start is None else replace(config, start=start.replace(tzinfo=UTC))


def ensure_market(settings: Settings, config: MarketConfig) -> dict[str, int]:
    """Simulate, unless the same market is there already; put its reference data in place.

    Returns:
        Messages by topic.

    Raises:
        AdxError: another market is there; mixing the two would make its truth worthless.
    """
    folder = settings.simulation_dir
    marker = folder / _MARKER
    wanted = json.dumps(asdict(config), default=str, indent=2, sort_keys=True)
    if not marker.is_file():
        with progress_bar("simulating the market", total=config.events) as bar:
            simulate(config, folder, on_progress=bar.advance_to, registry=open_registry(settings))
        # Written last: a market that was interrupted is made again.
        marker.write_text(wanted, encoding="utf-8")
    elif marker.read_text(encoding="utf-8") != wanted:
        raise AdxError(
            f"{folder} holds a market made with other arguments: repeat those, or run `make clean` "
            "(or set ADX_HOME) to start a new one"
        )
    _install_reference(settings)
    summary = json.loads((folder / "truth" / "summary.json").read_text(encoding="utf-8"))
    return {str(topic): int(count) for topic, count in summary["messages"].items()}


def _install_reference(settings: Settings) -> None:
    """Copy the simulated reference files to where the platform reads them; keep a user's own."""
    source = settings.simulation_dir / "reference"
    settings.reference_dir.mkdir(parents=True, exist_ok=True)
    kept = []
    for path in sorted(source.glob("*.csv")):
        target = settings.reference_dir / path.name
        if not target.exists():
            _copy_whole(path, target)
        elif target.read_bytes() != path.read_bytes():
            kept.append(target.name)
    if kept:
        stderr.print(f"kept the reference files that differ from the simulated: {', '.join(kept)}")


def _copy_whole(source: Path, target: Path) -> None:
    # By rename, so that a killed copy does not leave half a file that then counts as a user's own.
    partial = target.with_suffix(".partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


def feed_all(settings: Settings) -> list[FeedReport]:
    """Send what the broker does not have yet of every topic's simulated messages."""
    reports = []
    for topic in STREAMS:
        with progress_bar(f"sending {topic}") as bar:
            reports.append(
                feed_topic(
                    settings.kafka,
                    settings.simulation_dir / "wire",
                    topic,
                    on_progress=bar.advance_to,
                )
            )
    return reports
