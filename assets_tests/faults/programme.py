"""The fault programme: what goes wrong with an ingest, again and again, while it drains a topic.

Belongs here: the faults, one function each, and how long it took to be at work again. Does not
belong here: what the lake must hold afterwards (``sequence``), the servers, or the table.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Final, Self

from adx_platform.lake.storage import LakeStorage
from adx_platform.settings import KafkaSettings, LakeSettings, load_settings
from adx_platform.streams.admin import KafkaAdmin
from adx_platform.streams.errors import UnknownTopic
from adx_platform.streams.producer import produce
from assets_tests.faults.sequence import STREAM, Score, messages, score

_ROOT: Final = Path(__file__).resolve().parents[2]
_WAIT_SECONDS: Final = 300.0
_GONE_SECONDS: Final = 60.0
_OUTAGE_SECONDS: Final = 2.0
_STORE_COMMITS: Final = 24
_LAST_BATCH: Final = 50_000


@dataclass(slots=True)
class Result:
    """What one fault did.

    Attributes:
        fault: its name.
        times: how often it happened.
        score: of the lake at the end.
        recoveries: seconds from each fault to the next commit.
        ended: workers that ended with an error, which the next one has to make good.
        in_vain: bytes of files that no commit has, as a share of those that one has: what was
            written again after a fault. Null where the lake is no folder.
    """

    fault: str
    times: int = 0
    score: Score | None = None
    recoveries: list[float] = field(default_factory=list)
    ended: int = 0
    in_vain: float | None = None


class Worker:
    """One ``drain_worker`` process, and what it says."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "assets_tests.faults.drain_worker", *arguments],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started = time.monotonic()
        self.committed = 0
        self.commits: list[float] = []
        self.is_done = False
        self._lines: Queue[str | None] = Queue()
        self.errors = ""
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def wait_for(self, word: str, seconds: float = _WAIT_SECONDS) -> bool:
        """Whether it said ``word`` before it ended."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except Empty:
                break
            if line is None:
                return False
            self._note(line)
            if line.split()[0] == word:
                return True
        raise TimeoutError(f"no {word!r} within {seconds:g} s: {self.errors[-2000:]}")

    def listen(self, seconds: float) -> bool:
        """Take in what it says for so long; whether it still runs."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except Empty:
                return True
            if line is None:
                return False
            self._note(line)
        return True

    def finish(self) -> int:
        """Wait for its end; its exit code."""
        while self.listen(_WAIT_SECONDS):
            if time.monotonic() - self.started > 10 * _WAIT_SECONDS:
                raise TimeoutError("a worker does not come to an end")
        return self.process.wait()

    def _note(self, line: str) -> None:
        kind, _, count = line.partition(" ")
        if kind == "batch":
            self.committed += int(count)
            self.commits.append(time.monotonic())
        self.is_done |= kind == "done"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = self.process.stderr.read()


@dataclass(slots=True)
class Programme:
    """One topic and one broker; each fault gets a lake of its own.

    Attributes:
        kafka: the broker; :meth:`fill` makes the topic.
        home: an empty folder.
        per_partition: messages of each partition.
        batch: messages of one range.
        rng: decides when.
    """

    kafka: KafkaSettings
    home: Path
    per_partition: int
    batch: int
    rng: random.Random

    @property
    def partitions(self) -> int:
        """Of the topic."""
        return self.kafka.partitions_per_topic

    def fill(self) -> None:
        """Make the topic and send every message."""
        with KafkaAdmin(self.kafka) as admin:
            # Tests share their brokers: what is there already is of another one.
            with suppress(UnknownTopic):
                admin.delete_topics([STREAM])
            deadline = time.monotonic() + _GONE_SECONDS
            # Their times are of March: the default retention would delete them at once.
            while not admin.create_topics([STREAM], config={"retention.ms": "-1"}):
                if time.monotonic() > deadline:
                    raise TimeoutError("the old topic does not go away")
                time.sleep(0.1)
        produce(self.kafka, STREAM, messages(self.partitions, self.per_partition))

    def kills(self, times: int, within: float) -> Result:
        """SIGKILL at a random instant, ``times`` times, then a worker that may finish.

        Args:
            times: kills; fewer if the topic is drained before.
            within: seconds after a worker is ready, within which it is killed.
        """
        result = Result("killed (SIGKILL)")
        environment = self._environment("kills")
        killed_at: float | None = None
        while result.times < times:
            with Worker(environment) as worker:
                if not worker.wait_for("ready"):
                    raise RuntimeError(f"a worker could not begin: {worker.errors[-2000:]}")
                runs = worker.listen(self.rng.uniform(0, within))
                self._count(result, worker, killed_at)
                if worker.is_done or not runs:
                    break
                worker.process.send_signal(signal.SIGKILL)
                killed_at = time.monotonic()
                result.times += 1
        return self._finished(result, environment, killed_at)

    def outages(self, times: int, stop: Callable[[], None], start: Callable[[], None]) -> Result:
        """The broker dies and comes back while a worker drains.

        Args:
            times: outages; fewer if the topic is drained before.
            stop: kills the broker.
            start: starts it again, and returns when it answers.
        """
        result = Result("broker killed and back")
        environment = self._environment("outages")
        back_at: float | None = None
        while result.times < times:
            with Worker(environment) as worker:
                if not worker.wait_for("ready"):
                    result.ended += 1
                    continue
                runs = worker.listen(self.rng.uniform(0.2, 2.0))
                if self._count(result, worker, back_at):
                    back_at = None
                if worker.is_done:
                    break
                if not runs:
                    result.ended += 1
                    continue
                stop()
                worker.listen(_OUTAGE_SECONDS)
                start()
                back_at = time.monotonic()
                result.times += 1
                worker.listen(self.rng.uniform(1.0, 3.0))
                if self._count(result, worker, back_at):
                    back_at = None
        return self._finished(result, environment, back_at)

    def leader_changes(
        self, times: int, kill: Callable[[], None], mend: Callable[[], None]
    ) -> Result:
        """The leader of a partition dies while a worker drains, and others lead from then on.

        Recovery counts from the kill: the dead broker comes back only after the next commit.

        Args:
            times: kills; fewer if the topic is drained before.
            kill: kills a leader; the others hold all there is.
            mend: starts it again, and returns when it has caught up.
        """
        result = Result("leader killed")
        environment = self._environment("leaders")
        while result.times < times:
            with Worker(environment) as worker:
                if not worker.wait_for("ready"):
                    result.ended += 1
                    continue
                runs = True
                while runs and not worker.is_done and result.times < times:
                    runs = worker.listen(self.rng.uniform(0.2, 1.0))
                    if not runs or worker.is_done:
                        break
                    kill()
                    killed_at = time.monotonic()
                    result.times += 1
                    before = worker.committed
                    while runs and worker.committed == before:
                        if time.monotonic() - killed_at > _WAIT_SECONDS:
                            raise TimeoutError("no commit since the leader was killed")
                        runs = worker.listen(0.2)
                    self._count(result, worker, killed_at)
                    mend()
                if worker.is_done:
                    break
                result.ended += not runs
        return self._finished(result, environment, None)

    def zombies(self, times: int) -> Result:
        """A worker is stopped (SIGSTOP) at work, another takes over, and the first wakes up."""
        result = Result("zombie writer")
        environment = self._environment("zombies")
        for _ in range(times):
            with Worker(environment) as zombie:
                zombie.wait_for("ready")
                if not zombie.listen(self.rng.uniform(0.05, 0.8)) or zombie.is_done:
                    break
                zombie.process.send_signal(signal.SIGSTOP)
                with Worker(environment) as heir:
                    heir.wait_for("ready")
                    heir.listen(self.rng.uniform(0.5, 2.0))
                    zombie.process.send_signal(signal.SIGCONT)
                    result.times += 1
                    for worker in (zombie, heir):
                        worker.listen(self.rng.uniform(0.3, 1.0))
        return self._finished(result, environment, None)

    def doubled(self, times: int) -> Result:
        """Two workers start at the same moment and drain the same lanes."""
        result = Result("doubled tick")
        environment = self._environment("doubled")
        for _ in range(times):
            with Worker(environment) as one, Worker(environment) as two:
                for worker in (one, two):
                    worker.wait_for("ready")
                for worker in (one, two):
                    worker.listen(self.rng.uniform(0.5, 1.5))
                result.times += 1
                if one.is_done and two.is_done:
                    break
        return self._finished(result, environment, None)

    def store_faults(
        self,
        section: LakeSettings,
        direct: LakeSettings,
        *,
        workers: int,
        happened: Callable[[], int],
    ) -> Result:
        """Every so many requests the store refuses, breaks off or does not answer.

        Args:
            section: the lake, through the proxy that fails.
            direct: the same lake without it, for the score.
            workers: at most so many, one after the other.
            happened: faults so far.
        """
        result = Result("S3 fails")
        environment = self._environment("store", section)
        for _ in range(workers):
            with Worker(environment) as worker:
                code = worker.finish()
                result.ended += code != 0
                if worker.is_done:
                    break
        result.times = happened()
        storage = LakeStorage.at(str(direct.uri), direct)
        result.score = score(storage, self.partitions, self.per_partition)
        return result

    def full_disk(self, times: int, largest_file: int) -> Result:
        """No file can grow beyond ``largest_file`` bytes: writing ends in an error halfway."""
        result = Result("no room for a file")
        environment = self._environment("disk")

        for _ in range(times):
            with Worker(environment, str(largest_file)) as worker:
                code = worker.finish()
                result.times += code != 0
        return self._finished(result, environment, None)

    def _environment(self, name: str, lake: LakeSettings | None = None) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ADX_")}
        made = {
            "ADX_HOME": str(self.home / name),
            "ADX_KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "ADX_KAFKA__LANES_PER_TOPIC": str(self.kafka.lanes_per_topic),
            "ADX_KAFKA__PARTITIONS_PER_TOPIC": str(self.partitions),
            "ADX_INGEST__MAX_RECORDS_PER_BATCH": str(self.batch),
        }
        if lake is not None:
            # A commit takes fifty requests and more there, of which some fail: a few dozen commits
            # are hundreds of faults.
            few = self.per_partition * self.partitions // _STORE_COMMITS
            made["ADX_INGEST__MAX_RECORDS_PER_BATCH"] = str(max(few, self.batch))
            assert lake.s3_secret_access_key is not None
            made |= {
                "ADX_LAKE__URI": str(lake.uri),
                "ADX_LAKE__S3_ENDPOINT": str(lake.s3_endpoint),
                "ADX_LAKE__S3_ACCESS_KEY_ID": str(lake.s3_access_key_id),
                "ADX_LAKE__S3_SECRET_ACCESS_KEY": lake.s3_secret_access_key.get_secret_value(),
                "ADX_LAKE__S3_ALLOW_HTTP": "true",
                "ADX_LAKE__S3_TIMEOUT_SECONDS": str(lake.s3_timeout_seconds),
            }
        return clean | made

    def _count(self, result: Result, worker: Worker, since: float | None) -> bool:
        """Note how long after a fault the worker committed again; whether it did."""
        after = [at for at in worker.commits if since is not None and at > since]
        if since is not None and after:
            result.recoveries.append(after[0] - since)
        return bool(after)

    def _finished(self, result: Result, environment: dict[str, str], since: float | None) -> Result:
        """Let an undisturbed worker drain what is left, and hold the lake against what was sent."""
        # In whole ranges: nothing falls between its commits any more.
        environment = environment | {"ADX_INGEST__MAX_RECORDS_PER_BATCH": str(_LAST_BATCH)}
        with Worker(environment) as worker:
            code = worker.finish()
            if code != 0 or not worker.is_done:
                raise RuntimeError(f"the last worker failed: {worker.errors[-2000:]}")
            self._count(result, worker, since)
        settings = load_settings(home=Path(environment["ADX_HOME"]))
        storage = LakeStorage.from_settings(settings)
        result.score = score(storage, self.partitions, self.per_partition)
        result.in_vain = _written_in_vain(Path(storage.uri))
        return result


def _written_in_vain(lake: Path) -> float:
    """Bytes of files that no commit ever named, over those that commits of data named."""
    named: dict[Path, int] = {}
    merged: set[Path] = set()
    for entry in lake.rglob("_delta_log/*.json"):
        for line in entry.read_text(encoding="utf-8").splitlines():
            if (added := json.loads(line).get("add")) is not None:
                path = entry.parent.parent / added["path"]
                named[path] = added["size"]
                if not added["dataChange"]:
                    merged.add(path)
    there = [path for path in lake.rglob("*.parquet") if path.parent.name != "_delta_log"]
    in_vain = sum(path.stat().st_size for path in there if path not in named)
    return in_vain / sum(size for path, size in named.items() if path not in merged)
