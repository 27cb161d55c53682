"""Files on their way into Redshift: one Parquet file and one manifest for each table of a load.

Belongs here: how they are written, the COPY that reads them, and taking them away. Does not belong
here: the transaction in which COPY runs (``redshift_engine``).

COPY of columnar files goes by position and count, and casts nothing: a file has exactly the columns
of the staging table. Times are INT96: of INT64 Redshift reads another time (docs/redshift.md).
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

import polars as pl
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler

from adx_platform.lake.files import LakeFiles
from adx_platform.lake.storage import LakeStorage
from adx_platform.warehouse.base import WarehouseError
from adx_platform.warehouse.redshift_connection import quoted

logger = logging.getLogger(__name__)

LEFT_AFTER: Final = timedelta(hours=6)
"""Files that are older belong to no load that is at work: COPY reads them within minutes."""

_PARQUET: Final = ".parquet"
_MANIFEST: Final = ".manifest.json"


@dataclass(frozen=True, slots=True)
class CopySource:
    """One manifest in S3, and how many rows its files have."""

    manifest_url: str
    rows: int


class LoadFolder:
    """The folder in S3 through which loads go; the files of each begin with its own random name."""

    def __init__(self, storage: LakeStorage) -> None:
        """Remember where.

        Args:
            storage: its ``uri`` is the folder.

        Raises:
            WarehouseError: Redshift cannot read there.
        """
        parts = urlsplit(storage.uri)
        if parts.scheme.lower() not in {"s3", "s3a"}:
            raise WarehouseError(
                f"Redshift copies from S3 only, and files of a load would go to {storage.uri}: "
                "keep the lake on s3:// (ADX_LAKE__URI), or set ADX_WAREHOUSE__LOAD_URI"
            )
        # COPY knows no other name of the scheme.
        self.url = f"s3://{parts.netloc}{parts.path}".rstrip("/")
        self._storage = storage

    @contextmanager
    def new_load(self) -> Iterator[LoadFiles]:
        """Files for one load; they are deleted when the block ends, however it ends."""
        files = LoadFiles(self._storage, self.url, uuid.uuid4().hex)
        try:
            yield files
        finally:
            files.delete()

    def sweep(self, *, older_than: timedelta = LEFT_AFTER) -> int:
        """Delete what loads that were killed have left; returns how many files.

        Raises:
            LakeUnavailable: the store failed.
        """
        before = datetime.now(UTC) - older_than
        files = self._listed()
        with self._storage.explained("looking for files of earlier loads"):
            found = files.get_file_info(
                pyarrow.fs.FileSelector("", recursive=True, allow_not_found=True)
            )
            old = [
                file.path
                for file in found
                if file.path.endswith((_PARQUET, _MANIFEST))
                and file.mtime is not None
                and file.mtime < before
            ]
            for path in old:
                files.delete_file(path)
        return len(old)

    def _listed(self) -> Any:  # noqa: ANN401 - pyarrow has no type information
        handler = DeltaStorageHandler(self._storage.uri, dict(self._storage.options))
        return pyarrow.fs.PyFileSystem(handler)


class LoadFiles:
    """The files of one load."""

    def __init__(self, storage: LakeStorage, url: str, name: str) -> None:
        """See :meth:`LoadFolder.new_load`."""
        self._files = LakeFiles(storage, storage.uri)
        self._storage = storage
        self._name = name
        self._url = url
        self._written: list[str] = []

    def write(self, table: str, frame: pl.DataFrame) -> CopySource:
        """Write ``frame`` for COPY into a table with the same columns in the same order.

        Raises:
            LakeUnavailable: the store failed.
        """
        content = parquet_of(frame)
        rows, manifest = f"{self._name}-{table}{_PARQUET}", f"{self._name}-{table}{_MANIFEST}"
        self._put(rows, content)
        self._put(manifest, manifest_of({f"{self._url}/{rows}": len(content)}))
        return CopySource(f"{self._url}/{manifest}", frame.height)

    def delete(self) -> None:
        """Take the files away; what cannot be deleted now is swept later."""
        for path in self._written:
            try:
                self._files.delete(path)
            except OSError as error:
                # The load's outcome must not hang on it.
                logger.warning("%s of a load stays until it is swept: %s", path, error)
        self._written.clear()

    def _put(self, path: str, content: bytes) -> None:
        with self._storage.explained("writing the files of a load"):
            self._written.append(path)
            with self._files.create(path) as file:
                file.write(content)


def parquet_of(frame: pl.DataFrame) -> bytes:
    """``frame`` as a Parquet file that Redshift reads without a cast.

    Text is UTF-8, times are INT96, decimals are bytes of a fixed length; nothing else is nested or
    annotated.
    """
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    buffer = BytesIO()
    pq.write_table(
        table.cast(pa.schema([_plain(field) for field in table.schema])),
        buffer,
        compression="snappy",
        use_deprecated_int96_timestamps=True,
        store_schema=False,
        write_page_index=False,
    )
    return buffer.getvalue()


def manifest_of(files: dict[str, int]) -> bytes:
    """The manifest of ``files``, which are URLs with their sizes in bytes."""
    entries = [
        {"url": url, "mandatory": True, "meta": {"content_length": size}}
        for url, size in files.items()
    ]
    return json.dumps({"entries": entries}, separators=(",", ":")).encode()


def copy_statement(table: str, source: CopySource, iam_role: str) -> str:
    """The COPY of ``source`` into ``table``."""
    role = "default" if iam_role == "default" else quoted(iam_role)
    return (
        f"COPY {table} FROM {quoted(source.manifest_url)} IAM_ROLE {role} "
        "FORMAT AS PARQUET MANIFEST"
    )


def _plain(field: pa.Field) -> pa.Field:
    if pa.types.is_large_string(field.type):
        return pa.field(field.name, pa.string())
    return pa.field(field.name, field.type)
