"""Questions and orders to the cluster: topics, how far they reach, group offsets for lag tools.

Belongs here: requests that move no messages. Does not belong here: reading or producing, and
any decision about what to read (``planner``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not all in its __all__
    AdminClient,
    ClusterMetadata,
    NewTopic,
    OffsetSpec,
)

from adx_platform.settings import KafkaSettings
from adx_platform.streams.client import ErrorLog, as_stream_error, client_config, open_client
from adx_platform.streams.errors import BrokerUnreachable, UnknownTopic
from adx_platform.streams.topics import (
    TopicDescription,
    TopicState,
    Watermarks,
    topic_identity,
)

_T = TypeVar("_T")
_POLL_SECONDS = 0.1
_FIRST_TRY_SECONDS = 2.0
# The brokers of a cluster learn of a new topic one after another, each from the controller's log: a
# request that another one answers says "unknown" for a moment (seen in CI, with three brokers).
_TOPIC_SPREADS_SECONDS = 1.0
_FIRST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the library has no types here
_END = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise


class KafkaAdmin:
    """Administrative requests to one cluster; connects at the first one and may be kept.

    Every method raises ``BrokerUnreachable`` if nothing answers within
    ``settings.request_timeout_seconds`` and ``AuthenticationFailed`` as soon as the broker refuses
    the credentials.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._errors = ErrorLog()
        self._client: AdminClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections; the next request opens new ones."""
        self._client = None

    def topics(self) -> tuple[str, ...]:
        """Names of the cluster's topics, sorted, without Kafka's internal ones (``__...``)."""
        found = fetch_metadata(
            self._connected(), self._settings, self._errors, doing="list the topics"
        )
        return tuple(sorted(name for name in found.topics if not name.startswith("__")))

    def describe(self, topic: str) -> TopicDescription:
        """Identity and partitions of ``topic``.

        Raises:
            UnknownTopic: the cluster has no such topic, and none appeared within a second.
        """
        return self._described_within(topic, _TOPIC_SPREADS_SECONDS)

    def watermarks(self, topic: str) -> dict[int, Watermarks]:
        """How far each partition of ``topic`` reaches, to the last stable offset.

        Raises:
            UnknownTopic: the cluster has no such topic.
        """
        return self._reach([self.describe(topic)])[topic]

    def look(self, topics: Iterable[str]) -> dict[str, TopicState]:
        """Identity and reach of several topics, by one request of each kind for all of them.

        Returns:
            The topics that exist; the others are left out.
        """
        names = list(dict.fromkeys(topics))
        if not names:
            return {}

        def ask(deadline: float) -> list[TopicDescription]:
            futures = self._connected().describe_topics(TopicCollection(names))
            found = []
            for name in names:
                try:
                    found.append(self._described(name, futures[name], deadline))
                except UnknownTopic:
                    continue
            return found

        found = self._ask_again(ask)
        reach = self._reach(found)
        return {topic.name: TopicState(topic.topic_id, reach[topic.name]) for topic in found}

    def create_topics(
        self,
        topics: Iterable[str],
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        config: Mapping[str, str] | None = None,
    ) -> tuple[str, ...]:
        """Create those of ``topics`` that do not exist, and wait until they can be described.

        Args:
            topics: names.
            partitions: absent: ``settings.partitions_per_topic``.
            replication_factor: absent: the broker's default.
            config: topic options such as ``retention.ms``.

        Returns:
            The names that were created; topics that exist are left as they are.
        """
        wanted = [
            NewTopic(
                name,
                num_partitions=partitions or self._settings.partitions_per_topic,
                replication_factor=-1 if replication_factor is None else replication_factor,
                config=dict(config or {}),
            )
            for name in dict.fromkeys(topics)
        ]
        if not wanted:
            return ()
        tries = 0

        def ask(deadline: float) -> list[str]:
            nonlocal tries
            tries += 1
            asked = self._connected().create_topics(wanted)
            answers = {
                name: self._created(name, future, deadline) for name, future in asked.items()
            }
            # A try that got no answer may have made what the next one finds.
            return [name for name, is_new in answers.items() if is_new or tries > 1]

        created = self._ask_again(ask)
        for name in created:
            self._described_within(name, self._settings.request_timeout_seconds)
        return tuple(created)

    def delete_topics(self, topics: Iterable[str]) -> None:
        """Delete ``topics`` and all their messages.

        Raises:
            UnknownTopic: one of them does not exist; the others are deleted.
        """
        names = list(dict.fromkeys(topics))
        if not names:
            return
        for name, future in self._connected().delete_topics(names).items():
            self._wait(future, f"delete topic {name!r}", name)

    def commit_group_offsets(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Publish ``offsets`` (partition -> next offset) as those of ``group``.

        Only for lag tools: nothing of this platform ever reads them back.
        """
        if not offsets:
            return
        items = [TopicPartition(topic, p, offset) for p, offset in sorted(offsets.items())]
        doing = f"commit offsets of group {group!r} on topic {topic!r}"
        futures = self._connected().alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, items)]
        )
        result = self._wait(futures[group], doing, topic)
        for item in result.topic_partitions:
            if item.error is not None:
                raise as_stream_error(item.error, self._settings, doing=doing, topic=topic)

    def _described(self, topic: str, future: Future[Any], deadline: float) -> TopicDescription:
        found = self._wait(future, f"describe topic {topic!r}", topic, deadline)
        uuid = found.topic_id
        return TopicDescription(
            name=topic,
            topic_id=topic_identity(
                topic, uuid.get_most_significant_bits(), uuid.get_least_significant_bits()
            ),
            partitions=tuple(sorted(partition.id for partition in found.partitions)),
        )

    def _reach(self, topics: Sequence[TopicDescription]) -> dict[str, dict[int, Watermarks]]:
        """How far every partition of ``topics`` reaches, by the topics' names."""
        places = [(topic.name, p) for topic in topics for p in topic.partitions]
        found: dict[str, dict[int, Watermarks]] = {topic.name: {} for topic in topics}
        if not places:
            return found
        ends, starts = self._ask_again(lambda deadline: self._offsets(places, deadline))
        for name, p in places:
            # The two answers are not of one instant: a truncation between them may lift low past
            # the end that was seen first.
            low = starts[name, p]
            found[name][p] = Watermarks(low, max(low, ends[name, p]))
        return found

    def _ask_again(self, ask: Callable[[float], _T]) -> _T:
        """Ask until there is an answer, with longer and longer tries while time is left.

        A request waits for the broker that the client chose, or knows as the leader. Where that one
        died, it does so until its time-out and learns nothing, for minutes if it is kept: only a
        fresh client, which a failed try leaves behind, finds out who leads now.

        Args:
            ask: one try; is told the monotonic time at which to give up.
        """
        deadline = time.monotonic() + self._settings.request_timeout_seconds
        patience = _FIRST_TRY_SECONDS
        while True:
            try:
                return ask(min(deadline, time.monotonic() + patience))
            except BrokerUnreachable:
                self.close()
                if time.monotonic() >= deadline:
                    raise
                patience *= 2
                # A failure may come at once, again and again.
                time.sleep(_POLL_SECONDS)

    def _offsets(
        self, places: Sequence[tuple[str, int]], deadline: float
    ) -> list[dict[tuple[str, int], int]]:
        """Ends and first offsets of ``places``, by (topic, partition)."""
        client = self._connected()
        asked = [
            client.list_offsets(
                {TopicPartition(name, p): wanted for name, p in places},
                isolation_level=IsolationLevel.READ_COMMITTED,
            )
            for wanted in (_END, _FIRST)
        ]
        return [
            {
                (item.topic, item.partition): self._wait(
                    future, f"ask how far topic {item.topic!r} reaches", item.topic, deadline
                ).offset
                for item, future in futures.items()
            }
            for futures in asked
        ]

    def _connected(self) -> AdminClient:
        self._errors.clear()
        if self._client is None:
            options = client_config(self._settings, self._errors)
            self._client = open_client(AdminClient, options, self._settings)
        return self._client

    def _created(self, name: str, future: Future[Any], deadline: float) -> bool:
        doing = f"create topic {name!r}"
        try:
            self._await(future, doing, deadline)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise self._failure(error, doing, name) from error
        return True

    def _described_within(self, topic: str, seconds: float) -> TopicDescription:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._ask_to_describe(topic)
            except UnknownTopic:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS)

    def _ask_to_describe(self, topic: str) -> TopicDescription:
        def ask(deadline: float) -> TopicDescription:
            futures = self._connected().describe_topics(TopicCollection([topic]))
            return self._described(topic, futures[topic], deadline)

        return self._ask_again(ask)

    def _wait(
        self, future: Future[_T], doing: str, topic: str, deadline: float | None = None
    ) -> _T:
        try:
            return self._await(future, doing, deadline)
        except KafkaException as error:
            raise self._failure(error, doing, topic) from error

    def _await(self, future: Future[_T], doing: str, deadline: float | None = None) -> _T:
        """The future's result, giving up early where waiting cannot help."""
        if deadline is None:
            deadline = time.monotonic() + self._settings.request_timeout_seconds
        while True:
            try:
                return future.result(timeout=_POLL_SECONDS)
            except TimeoutError as error:
                if self._client is not None:
                    self._client.poll(0)
                if self._errors.is_hopeless or time.monotonic() >= deadline:
                    raise as_stream_error(
                        self._errors.cause, self._settings, doing=doing
                    ) from error

    def _failure(self, error: KafkaException, doing: str, topic: str | None = None) -> Exception:
        cause = _telling(error, self._errors)
        return as_stream_error(cause, self._settings, doing=doing, topic=topic)


def fetch_metadata(
    client: AdminClient | Consumer,
    settings: KafkaSettings,
    errors: ErrorLog,
    *,
    doing: str,
    topic: str | None = None,
) -> ClusterMetadata:
    """Metadata of the cluster, or of one topic; tries again until the request timeout has passed.

    Not for producers: asking for one topic through a producer may create it.

    Raises:
        BrokerUnreachable: nothing answers.
        AuthenticationFailed: the credentials were refused.
        UnknownTopic: ``topic`` does not exist.
    """
    deadline = time.monotonic() + settings.request_timeout_seconds
    step = min(1.0, settings.request_timeout_seconds)
    while True:
        try:
            found = client.list_topics(topic, step) if topic else client.list_topics(timeout=step)
        except KafkaException as error:
            client.poll(0)
            if errors.is_hopeless or time.monotonic() >= deadline:
                raise as_stream_error(
                    _telling(error, errors), settings, doing=doing, topic=topic
                ) from error
            continue
        problem = found.topics[topic].error if topic else None
        if problem is not None:
            raise as_stream_error(problem, settings, doing=doing, topic=topic)
        return found


def _telling(error: KafkaException, errors: ErrorLog) -> KafkaException | KafkaError:
    """The reason behind a mere timeout, where librdkafka gave one on the side."""
    timed_out = error.args[0].code() in {
        KafkaError._TIMED_OUT,  # noqa: SLF001 - the client's own names for its local errors
        KafkaError._TRANSPORT,  # noqa: SLF001 - the library's name
    }
    return errors.cause if timed_out and errors.cause is not None else error
