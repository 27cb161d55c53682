"""The checks that look at the files of the lake, and what the others say when one is damaged.

Belongs here: which check sits on which asset, and how damage is shown. Does not belong here:
looking at files (``lake.integrity``) or mending them (``pipeline.repair``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

import dagster as dg

from adx_platform.contracts.offsets import OffsetRange, merge_ranges
from adx_platform.contracts.streams import STREAMS, Stream
from adx_platform.lake.errors import LakeFileDamaged
from adx_platform.lake.integrity import (
    DamagedFile,
    VerifiedFiles,
    damage_message,
    damaged_files,
)
from adx_platform.lake.repairs import RepairEntry, Step, open_repairs, repair_entries
from adx_platform.lake.tables import events_table, raw_table
from adx_platform.orchestration import keys
from adx_platform.orchestration.resources import Line
from adx_platform.quality.incidents.documents import REMEDY_METADATA, remedy_document
from adx_platform.quality.incidents.model import Action, Remedy

FILES_INTACT: Final = "files_intact"
FILES_HISTORY: Final = "files_intact_history"

# More ranges than this say no more than none at all, which means all of the stream.
_MOST_RANGES = 50
# What this process has found good, by lake: the resident loop checks after every few batches, and
# then reads the footers of new files only.
_VERIFIED: dict[str, VerifiedFiles] = {}

CheckPlace = tuple[dg.AssetKey, str, dg.AssetCheckSeverity]
"""Asset, name of the check, and how bad it is if it cannot be evaluated."""


def integrity_checks() -> list[dg.AssetChecksDefinition]:
    """After each batch sizes and new footers; in the audit every byte."""
    return [
        _files_check(stream, deep=deep) for stream in STREAMS.values() for deep in (False, True)
    ]


def deep_check_keys() -> list[dg.AssetCheckKey]:
    """The checks that read every file as a whole: for the audit only."""
    return [
        dg.AssetCheckKey(key, FILES_HISTORY)
        for stream in STREAMS
        for key in (keys.raw_key(stream), keys.events_key(stream))
    ]


def integrity_results(
    line: Line, stream: Stream, *, deep: bool = False
) -> Iterator[dg.AssetCheckResult]:
    """Whether every file of the stream's landing and events is there and whole.

    A repair that is not finished fails the check of its layer as well: the damaged file is out of
    the table by then, and what it held is not back yet, or is beyond repair.

    Args:
        line: what opens the lake.
        stream: the stream.
        deep: read every file as a whole; otherwise sizes, and the footers of new files.

    Raises:
        LakeUnavailable: the storage failed.
    """
    storage = line.storage
    name = FILES_HISTORY if deep else FILES_INTACT
    verified = None if deep else _VERIFIED.setdefault(storage.uri, VerifiedFiles())
    unfinished = open_repairs(repair_entries(storage, stream.topic))
    entries = [entry for of_number in unfinished.values() for entry in of_number]
    for key, table in (
        (keys.raw_key(stream.name), raw_table(storage, stream.topic)),
        (keys.events_key(stream.name), events_table(storage, stream.topic, stream.events_schema)),
    ):
        found = damaged_files(table, deep=deep, verified=verified)
        yield _result(key, name, found, [e for e in entries if e.layer == key.path[1]])


def where_intact(
    results: Iterable[dg.AssetCheckResult], places: Collection[CheckPlace]
) -> Iterator[dg.AssetCheckResult]:
    """``results``; from where one meets a damaged file on, a failed result for each other place.

    A check that crashes says nothing, and fails the run of its neighbours.
    """
    done: set[tuple[dg.AssetKey | None, str | None]] = set()
    try:
        for result in results:
            done.add((result.asset_key, result.check_name))
            yield result
    except LakeFileDamaged as error:
        for key, name, severity in places:
            if (key, name) not in done:
                yield unevaluated(error, key.path[-1], key, name, severity=severity)


def unevaluated(
    error: LakeFileDamaged,
    stream: str,
    key: dg.AssetKey,
    name: str,
    *,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """The failed result of a check that met a damaged file, which it names, with the remedy."""
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=False,
        severity=severity,
        description=f"cannot be evaluated: {error}",
        metadata=_remedy_metadata(stream, ()),
    )


def _files_check(stream: Stream, *, deep: bool) -> dg.AssetChecksDefinition:
    name = FILES_HISTORY if deep else FILES_INTACT
    how = (
        "Every byte of every active file can be read."
        if deep
        else "Every active file is there, as long as committed, and new ones have a good footer."
    )

    @dg.multi_asset_check(
        name=f"{'audit' if deep else 'check'}_files_{stream.name}",
        specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=not deep, description=how)
            for key in (keys.raw_key(stream.name), keys.events_key(stream.name))
        ],
    )
    def check_files(line: dg.ResourceParam[Line]) -> Iterator[dg.AssetCheckResult]:
        yield from integrity_results(line, stream, deep=deep)

    return check_files


def _result(
    key: dg.AssetKey, name: str, found: list[DamagedFile], unfinished: list[RepairEntry]
) -> dg.AssetCheckResult:
    sentences = [damage_message(found)] if found else []
    if unfinished:
        sentences.append(_unfinished_message(unfinished))
    metadata: dict[str, dg.MetadataValue | str | int] = {"damaged_files": len(found)}
    if found:
        metadata["files"] = _files_table(found)
    if sentences:
        ranges = [span for item in found for span in item.ranges]
        ids = {item.topic_id for item in found}
        exact = found and not unfinished and len(ids) == 1 and None not in ids
        metadata |= _remedy_metadata(
            key.path[-1], ranges if exact else (), topic_id=next(iter(ids)) if exact else None
        )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not sentences,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(sentences) or "every file is there and whole",
        metadata=metadata,
    )


def _unfinished_message(entries: list[RepairEntry]) -> str:
    gone = merge_ranges(e.span for e in entries if e.step == Step.BEYOND_REPAIR and e.span)
    numbers = ", ".join(str(number) for number in sorted({entry.number for entry in entries}))
    if gone:
        return (
            f"repair {numbers}: offsets {', '.join(map(str, gone))} are beyond repair: neither the "
            "lake nor the broker has them any more"
        )
    return f"repair {numbers} is not finished: run `adx repair`"


def _files_table(found: list[DamagedFile]) -> dg.TableMetadataValue:
    columns = ("file", "damage", "rows", "offsets")
    return dg.TableMetadataValue(
        records=[
            dg.TableRecord(
                {
                    "file": item.path,
                    "damage": item.kind.value,
                    "rows": item.rows or 0,
                    "offsets": ", ".join(map(str, item.ranges)),
                }
            )
            for item in found
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in columns]),
    )


def _remedy_metadata(
    stream: str, ranges: Iterable[OffsetRange], *, topic_id: str | None = None
) -> dict[str, dg.MetadataValue]:
    merged = merge_ranges(ranges)
    if len(merged) > _MOST_RANGES:
        merged, topic_id = (), None
    remedy = Remedy(Action.REPAIR_LAKE, stream=stream, topic_id=topic_id, ranges=merged)
    return {REMEDY_METADATA: dg.JsonMetadataValue(remedy_document(remedy))}
