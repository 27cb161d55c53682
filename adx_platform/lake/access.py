"""Whether the lake can be written, found out by writing.

Belongs here: one small object, written and deleted by the client that the tables use. Does not
belong here: judging the answer (``pipeline.doctor``).
"""

from __future__ import annotations

import uuid
from pathlib import Path

# Not the public wrapper of it: that hands on a buffer where the writer wants bytes (1.6.6).
from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import DeltaError

from adx_platform.lake.errors import LakeUnavailable
from adx_platform.lake.storage import LakeStorage
from adx_platform.lake.tables import raw_table

_PREFIX = "_adx_doctor-"


def require_writable(storage: LakeStorage) -> None:
    """Write a few bytes under the lake's root and delete them again.

    Raises:
        LakeUnavailable: the lake does not answer, or does not let us; the message says what to do.
    """
    try:
        with storage.explained("writing and deleting an object"):
            if storage.is_local:
                _write_file(Path(storage.uri))
            else:
                _write_object(storage)
    except (DeltaError, OSError) as error:
        # Nothing that has advice of its own.
        raise LakeUnavailable(f"the lake {storage.uri} cannot be written: {error}") from error


def _write_file(root: Path) -> None:
    # A lake that is not there yet is made by the first landing, in the folder above.
    folder = next(item for item in (root, *root.parents) if item.exists())
    path = folder / f".{_PREFIX}{uuid.uuid4().hex}"
    path.write_bytes(b"adx")
    path.unlink()


def _write_object(storage: LakeStorage) -> None:
    name = f"{_PREFIX}{uuid.uuid4().hex}"
    # Asked for before anything is written: a store may make a missing bucket at the first write
    # (SeaweedFS does), and the wrong one would look right.
    raw_table(storage, name).find()
    handler = DeltaFileSystemHandler(storage.uri, dict(storage.options))
    stream = handler.open_output_stream(name)
    stream.write(b"adx")
    stream.close()  # type: ignore[attr-defined]  # it is missing from its stubs
    handler.delete_file(name)
