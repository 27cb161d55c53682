"""The files under a folder of the lake, wherever it is: size, content, writing, moving, deleting.

Belongs here: single files by name. Does not belong here: which files a table consists of, which
only its log says (``integrity``); no folder is ever listed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

import polars as pl
import pyarrow.dataset
import pyarrow.fs
from deltalake._internal import DeltaFileSystemHandler
from deltalake.fs import DeltaStorageHandler

from adx_platform.lake.storage import LakeStorage

_CONCURRENT: Final = 16


@dataclass(frozen=True, slots=True)
class FileState:
    """One file as the store has it.

    Attributes:
        size: bytes; null: there is no such file.
        changed: nanoseconds of its last change, where the store tells them cheaply.
    """

    size: int | None
    changed: int | None = None


class LakeFiles:
    """Files under ``uri``, which is a folder of a machine or a prefix of an object store."""

    def __init__(self, storage: LakeStorage, uri: str) -> None:
        """Remember where; nothing is opened yet."""
        self._local = Path(uri) if storage.is_local else None
        self._uri = uri
        self._options = dict(storage.options)

    def states(self, paths: Sequence[str]) -> list[FileState]:
        """Size of each of ``paths``, in their order; several are asked for at a time."""
        if self._local is not None:
            return [_local_state(self._local / path) for path in paths]
        remote = self._remote()
        with ThreadPoolExecutor(_CONCURRENT) as pool:
            return list(pool.map(lambda path: _remote_state(remote, path), paths))

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """The file for reading at any position.

        Raises:
            OSError: it is not there, or the store fails.
        """
        if self._local is not None:
            with (self._local / path).open("rb") as file:
                yield file
        else:
            with self._remote().open_input_file(path) as file:
                # pyarrow's file has the methods of one, but not its type.
                yield cast("IO[bytes]", file)

    @contextmanager
    def create(self, path: str) -> Iterator[IO[bytes]]:
        """A new file for writing, whole and on disk when the block ends; folders are made.

        After an error there is none.

        Raises:
            OSError: the store fails.
        """
        if self._local is not None:
            target = self._local / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with target.open("xb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
            except BaseException:
                # A full disk must not be kept full by what did not fit.
                target.unlink(missing_ok=True)
                raise
        else:
            # Not pyarrow's file of it, which hands over buffers where bytes are wanted.
            # Its type does not tell of `close`, which ends the upload.
            handler = DeltaFileSystemHandler(self._uri, self._options)
            stream: Any = handler.open_output_stream(path)
            yield cast("IO[bytes]", _Upload(stream))
            # Not after an error: what is not ended is no object.
            stream.close()

    def sync(self, paths: Sequence[str]) -> None:
        """Have local files that others wrote, and the names of all of ``paths``, on disk.

        A remote store keeps by itself what it has accepted.

        Raises:
            OSError: a file is not there, or the disk fails.
        """
        if self._local is None:
            return
        for path in paths:
            # Windows flushes only what is open for writing.
            with (self._local / path).open("r+b") as file:
                os.fsync(file.fileno())
        self.sync_names(paths)

    def sync_names(self, paths: Sequence[str]) -> None:
        """Make the names of new local files last as their content does.

        Raises:
            OSError: the disk fails.
        """
        if self._local is None or os.name == "nt":  # Windows cannot open a folder
            return
        for folder in {folder for path in paths for folder in PurePosixPath(path).parents}:
            descriptor = os.open(self._local / folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def delete(self, path: str) -> None:
        """Delete ``path``; nothing happens if there is no such file.

        Raises:
            OSError: the store fails.
        """
        if self._local is not None:
            (self._local / path).unlink(missing_ok=True)
        else:
            with suppress(FileNotFoundError):
                self._remote().delete_file(path)

    def dataset(self, paths: Sequence[str], schema: pl.Schema) -> pyarrow.dataset.Dataset:
        """The rows of Parquet files, for stores that only the Delta client can read."""
        return pyarrow.dataset.dataset(
            list(paths),
            schema=pl.DataFrame(schema=schema).to_arrow().schema,
            format="parquet",
            filesystem=self._remote(),
        )

    @contextmanager
    def open_whole(self, path: str) -> Iterator[IO[bytes]]:
        """The same for reading all of it: from a remote store it is fetched at once.

        Whatever fails in the block then is the content's fault and not the store's.

        Raises:
            OSError: it is not there, or the store fails.
        """
        with self.open(path) as file:
            yield file if self._local is not None else BytesIO(file.read())

    def move(self, path: str, target: str) -> bool:
        """Rename ``path`` to ``target``; False if there is no such file.

        Both are below ``uri``. A store without rename copies, then deletes: killed in between,
        both exist, and moving again ends it.
        """
        if self._local is not None:
            source, goal = self._local / path, self._local / target
            goal.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.move(source, goal)
            except FileNotFoundError:
                return False
            return True
        remote = self._remote()
        if _remote_state(remote, path).size is None:
            return False
        remote.move(path, target)
        return True

    def _remote(self) -> Any:  # noqa: ANN401 - pyarrow has no type information
        return pyarrow.fs.PyFileSystem(DeltaStorageHandler(self._uri, self._options))


class _Upload:
    """The Delta client's stream as a file; it takes nothing but bytes."""

    closed = False

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - its type lacks `close`
        self._stream = stream
        self._written = 0

    def write(self, data: bytes | memoryview) -> int:
        count = len(data)
        self._stream.write(bytes(data))
        self._written += count
        return count

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """The stream sends a part when it is full."""

    def close(self) -> None:
        """Whoever opened the stream ends it."""


def _local_state(path: Path) -> FileState:
    try:
        found = path.stat()
    except FileNotFoundError:
        return FileState(None)
    return FileState(found.st_size, found.st_mtime_ns)


def _remote_state(remote: Any, path: str) -> FileState:  # noqa: ANN401 - see above
    info = remote.get_file_info([path])[0]
    return FileState(None if info.type == pyarrow.fs.FileType.NotFound else info.size)
