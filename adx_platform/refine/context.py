"""What a refining needs to know besides the raw rows.

Belongs here: the context and the protocol of the reference data used by enrichment. Does not belong
here: loading either of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adx_platform.codecs.registry import SchemaRegistry
from adx_platform.codecs.screening import MAX_MESSAGE_BYTES
from adx_platform.contracts.streams import Stream
from adx_platform.refine.agent_lists import AgentLists
from adx_platform.settings import PrivacySettings, RefineSettings


class EnrichmentReference(Protocol):
    """Versioned look-up data; the same version means the same content."""

    @property
    def version(self) -> str:
        """Short hash of the content, stored with every row that was enriched with it."""

    @property
    def crawler_patterns(self) -> tuple[str, ...]:
        """Regular expressions, any of which in a user agent means a declared robot."""

    @property
    def agent_lists(self) -> AgentLists:
        """Licensed lists of browsers and robots; empty where there are none."""

    @property
    def erased(self) -> frozenset[str]:
        """Hashes of the pseudonyms of people whose rows are to hold nothing of them."""

    @property
    def data_centre_v4(self) -> tuple[tuple[int, int], ...]:
        """Disjoint, ascending (first, last) IPv4 addresses as integers, both inclusive."""

    @property
    def data_centre_v6(self) -> tuple[tuple[int, int], ...]:
        """The same for IPv6."""


@dataclass(frozen=True)
class RefineContext:
    """Everything that decides a refined row, besides the raw row itself.

    Attributes:
        stream: the contract.
        registry: Avro writer schemas; used by the ``bid_requests`` stream only.
        reference: look-up data of the enrichment.
        privacy: keys of the pseudonyms.
        rules: time bounds.
        max_message_bytes: larger messages are rejected.
    """

    stream: Stream
    registry: SchemaRegistry | None
    reference: EnrichmentReference
    privacy: PrivacySettings
    rules: RefineSettings
    max_message_bytes: int = MAX_MESSAGE_BYTES
