"""Look-up data of the enrichment: known crawlers, lists of user agents, data-centre ranges.

Belongs here: loading, merging and versioning them. Does not belong here: the rules that use them
(``refine``), or the tables that the warehouse loads.
"""

from __future__ import annotations

import csv
import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import crawleruseragents

from adx_platform.reference.erased import load_erased
from adx_platform.reference.iab_lists import load_agent_lists
from adx_platform.refine.agent_lists import AgentLists

DATA_CENTRE_FILE = "data_centre_ranges.csv"
_COLUMNS = ("cidr", "owner")
_PACKAGES = ("crawler-user-agents", "ua-parser", "ua-parser-builtins")
_VERSION_DIGITS = 12

_NOT_ROBOTS = frozenset({"Viber", "MetaIAB Facebook", r"AP3A\.240617\.008", "Sonic"})
"""Patterns of the package that also fit people: two apps' own browsers, whose link previews the
package means, a build of Android, and Slack for the desktop ("Sonic Slack")."""

_NARROWED = {r"Fetch\/": r"(?:^|[^c])Fetch\/"}
"""Patterns that are kept but for people: what Firefox for Android loads itself is MozacFetch."""

Ranges = tuple[tuple[int, int], ...]


class EnrichmentReferenceError(ValueError):
    """The look-up data cannot be used; the message says where and what to do."""


@dataclass(frozen=True)
class LoadedEnrichmentReference:
    """Crawler patterns, lists and data-centre ranges, with the version of this content."""

    version: str
    crawler_patterns: tuple[str, ...]
    data_centre_v4: Ranges
    data_centre_v6: Ranges
    agent_lists: AgentLists
    erased: frozenset[str]


def load_enrichment_reference(reference_dir: Path) -> LoadedEnrichmentReference:
    """Read ``data_centre_ranges.csv`` (columns ``cidr``, ``owner``) and what tells robots.

    Args:
        reference_dir: folder of the reference files; a missing file counts as no ranges.

    Returns:
        The reference. Its version changes with the file's ranges, with the lists' entries and with
        the versions of the packages that bring the crawler patterns and the user-agent rules.

    Raises:
        EnrichmentReferenceError: a header or a range is not usable; names the file and the line.
        AgentListError: likewise, of a licensed list of user agents.
        ErasedListError: likewise, of the list of erased people.
    """
    networks = _read_networks(reference_dir / DATA_CENTRE_FILE)
    v4 = _merged(n for n in networks if isinstance(n, ipaddress.IPv4Network))
    v6 = _merged(n for n in networks if isinstance(n, ipaddress.IPv6Network))
    patterns = _crawler_patterns()
    lists = load_agent_lists(reference_dir)
    erased = load_erased(reference_dir)
    digest = hashlib.sha256()
    for name in _PACKAGES:
        digest.update(f"{name}={version(name)}\n".encode())
    digest.update(repr((patterns, v4, v6)).encode())
    if lists != AgentLists():
        digest.update(repr(lists).encode())
    if erased:
        digest.update(repr(sorted(erased)).encode())
    return LoadedEnrichmentReference(
        digest.hexdigest()[:_VERSION_DIGITS], patterns, v4, v6, lists, erased
    )


@lru_cache(maxsize=1)
def _crawler_patterns() -> tuple[str, ...]:
    patterns = (entry["pattern"] for entry in crawleruseragents.CRAWLER_USER_AGENTS_DATA)
    return tuple(_NARROWED.get(p, p) for p in patterns if p not in _NOT_ROBOTS)


def _read_networks(path: Path) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    if not path.exists():
        return []
    networks = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            raise EnrichmentReferenceError(f"{path}: the first line must name {','.join(_COLUMNS)}")
        for record in reader:
            text = (record["cidr"] or "").strip()
            try:
                networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError as error:
                raise EnrichmentReferenceError(
                    f"{path}, line {reader.line_num}: {text!r} is not a range like 192.0.2.0/24"
                ) from error
    return networks


def _merged(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> Ranges:
    """Disjoint, ascending (first, last) of possibly overlapping networks."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(
        (int(network.network_address), int(network.broadcast_address)) for network in networks
    ):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)
