"""`python -m assets_tests.bench.peers`: adx and its peers on one broker, and the tables.

Belongs here: the command and the order of the run. Does not belong here: the contenders, the
measuring, or the tables.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from adx_platform.contracts.streams import STREAMS
from adx_platform.settings import KafkaSettings
from assets_tests.bench.measure import in_fresh_process
from assets_tests.bench.peers.broker import running_broker
from assets_tests.bench.peers.contenders import CONTENDERS, Contender, Tools, UnavailableError
from assets_tests.bench.peers.measuring import ContenderFailedError, Cost, cost_of
from assets_tests.bench.peers.outcomes import Failure, Outcome, Results, median_cost
from assets_tests.bench.peers.stored import Stored
from assets_tests.bench.peers.tables import notes, sheets
from assets_tests.bench.peers.traffic import FEW, feed, job_for, make_messages, topic_of
from assets_tests.servers.java import JavaMissingError

_LANES = 2
_TO_LOOK_UP = ("adx-platform", "confluent-kafka", "pyspark", "dlt", "orjson", "fastavro", "pyarrow")

Runs = dict[tuple[str, str], list[tuple[Cost, Stored]]]


def bench(  # noqa: PLR0917 - each is an option of the command
    messages: Annotated[int, typer.Option(min=2 * FEW, help="Messages of each stream.")] = 500_000,
    partitions: Annotated[int, typer.Option(min=_LANES, help="Of each topic.")] = 4,
    repetitions: Annotated[int, typer.Option(min=1, help="Runs of each contender.")] = 3,
    peers_python: Annotated[
        Path, typer.Option(help="A Python that has requirements/peers.lock.")
    ] = Path(sys.executable),
    only: Annotated[
        list[str] | None, typer.Option(help="Only this contender; may be repeated.")
    ] = None,
    stream: Annotated[
        list[str] | None, typer.Option(help="Only this stream; may be repeated.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
    *,
    markdown: Annotated[bool, typer.Option(help="Print the tables as Markdown.")] = False,
) -> None:
    """Let adx and its peers bring the same Kafka topics into Parquet, and print what it cost."""
    if sys.platform != "linux":
        raise typer.BadParameter("it counts processes by Linux's means: run it there")
    contenders = [one for one in CONTENDERS if only is None or one.name in only]
    unknown = {*(only or ())} - {one.name for one in CONTENDERS}
    if unknown:
        known = ", ".join(one.name for one in CONTENDERS)
        raise typer.BadParameter(f"no contender {', '.join(sorted(unknown))}: there are {known}")
    streams = [name for name in STREAMS if stream is None or name in stream]
    for name in [name for name in os.environ if name.startswith("ADX_")]:
        del os.environ[name]
    errors = Console(stderr=True)
    # Ended from outside it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="adx-peers-") as folder,
            running_broker(partitions) as kafka,
        ):
            run = _Run(Path(folder), kafka, Tools(peers_python.absolute(), Path(folder)), errors)
            results = run.results(contenders, streams, messages, repetitions)
    except JavaMissingError as missing:
        errors.print(f"no Apache Kafka: {missing}", markup=False)
        raise typer.Exit(1) from missing
    _show(results, markdown=markdown)
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(results), indent=2) + "\n", encoding="utf-8")


class _Run:
    """One run of the bench: a market, a broker, and who is to be measured on it."""

    def __init__(self, home: Path, kafka: KafkaSettings, tools: Tools, errors: Console) -> None:
        self._home = home
        self._kafka = kafka
        self._tools = tools
        self._errors = errors
        self._failures: list[Failure] = []
        self._unavailable: dict[str, str] = {}

    def results(
        self,
        contenders: Sequence[Contender],
        streams: Sequence[str],
        messages: int,
        repetitions: int,
    ) -> Results:
        load_before = os.getloadavg()[0]
        partitions = self._kafka.partitions_per_topic
        self._say("simulating a market")
        # It takes memory that this process would keep.
        traffic = in_fresh_process(make_messages, self._home, messages, partitions)
        ends: dict[bool, dict[str, dict[int, int]]] = {}
        runs: dict[bool, Runs] = {True: {}, False: {}}
        for few in (True, False):
            self._say("sending a few messages" if few else "sending all messages")
            ends[few] = feed(self._home, self._kafka, few=few)
            for number in range(repetitions):
                for stream in streams:
                    for one in contenders:
                        self._say(f"{number + 1}/{repetitions} {stream}: {one.name}")
                        found = self._once(one, stream, ends[few])
                        if found is not None:
                            runs[few].setdefault((one.name, stream), []).append(found)
        failed = {(one.contender, one.stream) for one in self._failures}
        outcomes = [
            Outcome(
                contender=one.name,
                stream=stream,
                messages=sum(ends[False][topic_of(stream, sound=one.sound)].values()),
                few_messages=sum(ends[True][topic_of(stream, sound=one.sound)].values()),
                full=median_cost([cost for cost, _ in runs[False][one.name, stream]]),
                few=median_cost([cost for cost, _ in runs[True][one.name, stream]]),
                stored=runs[False][one.name, stream][-1][1],
            )
            for stream in streams
            for one in contenders
            if one.name not in self._unavailable and (one.name, stream) not in failed
        ]
        return Results(
            traffic=[one for one in traffic if one.stream in streams],
            outcomes=outcomes,
            failures=self._failures,
            unavailable=self._unavailable,
            versions=_versions(self._tools),
            repetitions=repetitions,
            partitions=partitions,
            load_before=load_before,
            load_after=os.getloadavg()[0],
        )

    def _once(
        self, contender: Contender, stream: str, ends: dict[str, dict[int, int]]
    ) -> tuple[Cost, Stored] | None:
        if contender.name in self._unavailable or any(
            (one.contender, one.stream) == (contender.name, stream) for one in self._failures
        ):
            return None
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._home) as name:
            folder = Path(name)
            topic = topic_of(stream, sound=contender.sound)
            job = job_for(
                self._home, self._kafka, stream, topic=topic, ends=ends[topic], out=folder / "out"
            )
            job.out.mkdir()
            job.write(folder / "job.json")
            try:
                commands = contender.commands(self._tools, folder / "job.json")
                cost = cost_of(commands, self._tools.environment(folder), folder)
            except UnavailableError as missing:
                self._say(f"left out: {missing}")
                self._unavailable[contender.name] = str(missing)
            except ContenderFailedError as failure:
                self._say(f"failed: {failure}")
                self._failures.append(Failure(contender.name, stream, str(failure)))
            else:
                found = contender.count(job)
                self._say(
                    f"  {cost.cpu_seconds:.1f} CPU s, {cost.wall_seconds:.1f} s, "
                    f"{cost.peak_mb:,.0f} MB; of {job.messages:,} messages {found.rows:,} rows, "
                    f"{found.refused:,} refused, {found.lost(job.messages):,} lost"
                )
                return cost, found
        return None

    def _say(self, words: str) -> None:
        self._errors.print(words, markup=False, highlight=False, soft_wrap=True)


def _versions(tools: Tools) -> dict[str, str]:
    script = f"""
from importlib.metadata import PackageNotFoundError, version
import json
found = {{}}
for name in {_TO_LOOK_UP}:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
    asked = subprocess.run(
        [tools.peers_python, "-c", script], capture_output=True, text=True, check=True
    )
    ours = {"Python": sys.version.split()[0], "adx-platform": version("adx-platform")}
    return ours | json.loads(asked.stdout)


def _show(results: Results, *, markdown: bool) -> None:
    if markdown:
        text = [sheet.markdown() for sheet in sheets(results)]
        text += [f"- {' '.join(note.split())}" for note in notes(results)]
        typer.echo("\n".join(text))
        return
    console = Console(width=max(100, shutil.get_terminal_size().columns))
    for sheet in sheets(results):
        console.print(sheet.rich())
    for note in notes(results):
        console.print(note, highlight=False, markup=False)


if __name__ == "__main__":
    typer.run(bench)
