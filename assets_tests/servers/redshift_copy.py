"""COPY of Parquet files by a manifest, carried out as strictly as Redshift's manual says.

Belongs here: reading the statement, the manifest and the files, and refusing what Redshift refuses.
Does not belong here: the connection on which the rows go on (``redshift_wire``).

Stricter than Redshift in one thing: a timestamp that is stored as INT64 is refused. Redshift takes
it and reads another time (apache/arrow#38000, dask/fastparquet#432).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import ClientError

from assets_tests.servers.seaweedfs import ACCESS_KEY, SECRET

ROLE: Final = "arn:aws:iam::123456789012:role/adx-copy"
"""The one role that this server may assume."""

_COPY = re.compile(
    r"\s*copy\s+(?P<table>[\w.\"]+)\s+from\s+'(?P<url>[^']*)'\s*(?P<options>.*?);?\s*",
    re.IGNORECASE | re.DOTALL,
)
_ROLE = re.compile(r"\biam_role\s+(?:'(?P<arn>[^']*)'|default)", re.IGNORECASE)
_FORMAT = re.compile(r"\bformat\s+(?:as\s+)?parquet\b", re.IGNORECASE)
_MANIFEST = re.compile(r"\bmanifest\b", re.IGNORECASE)
_TEXT = re.compile(r"character varying\((\d+)\)")
_DECIMAL = re.compile(r"numeric\((\d+),(\d+)\)")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_STORED: Final = {
    "boolean": "BOOLEAN",
    "integer": "INT32",
    "bigint": "INT64",
    "double precision": "DOUBLE",
    "date": "INT32",
    "timestamp without time zone": "INT96",
}


class CopyRefusedError(Exception):
    """What Redshift would say instead of copying."""


@dataclass(frozen=True)
class Copy:
    """A COPY statement from S3, as it was written."""

    table: str
    url: str
    options: str


def read_statement(sql: str) -> Copy | None:
    """The COPY that ``sql`` is; ``None`` if it is another statement."""
    found = _COPY.fullmatch(sql)
    return Copy(found["table"], found["url"], found["options"]) if found else None


class S3:
    """The store that the role may read."""

    def __init__(self, endpoint: str) -> None:
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
        )

    def read(self, url: str) -> bytes | None:
        """The object at ``s3://bucket/key``; ``None`` if there is none."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise
        with body:
            content: bytes = body.read()
            return content


def rows_of(copy: Copy, columns: Sequence[tuple[str, str]], store: S3) -> bytes:
    """Everything that ``copy`` brings, in PostgreSQL's text format.

    Args:
        copy: the statement.
        columns: name and type of each column of the target, in its order.
        store: where the role reads.

    Raises:
        CopyRefusedError: Redshift would not copy.
    """
    _check_options(copy.options)
    return b"".join(
        _rows_of_file(url, content, columns) for url, content in _files(copy.url, store)
    )


def _check_options(options: str) -> None:
    role = _ROLE.search(options)
    if role is None:
        raise CopyRefusedError("No credentials: COPY needs IAM_ROLE")
    if role["arn"] != ROLE:
        raise CopyRefusedError(f"User is not authorized to assume IAM Role {role['arn']}")
    if not _FORMAT.search(options):
        raise CopyRefusedError("this server copies only FORMAT AS PARQUET")
    if not _MANIFEST.search(options):
        raise CopyRefusedError("this server copies only by MANIFEST")
    rest = options
    for known in (_ROLE, _FORMAT, _MANIFEST):
        rest = known.sub(" ", rest, count=1)
    if rest.strip():
        raise CopyRefusedError(f"COPY option not supported for PARQUET: {rest.strip()}")


def _files(manifest_url: str, store: S3) -> list[tuple[str, bytes]]:
    manifest = store.read(manifest_url)
    if manifest is None:
        raise CopyRefusedError(f"The specified S3 manifest does not exist: {manifest_url}")
    try:
        entries = json.loads(manifest)["entries"]
    except (ValueError, KeyError, TypeError):
        raise CopyRefusedError(f"Invalid manifest: {manifest_url}") from None
    return [file for entry in entries if (file := _file(entry, store)) is not None]


def _file(entry: dict[str, Any], store: S3) -> tuple[str, bytes] | None:
    length = entry.get("meta", {}).get("content_length")
    if not isinstance(length, int):
        raise CopyRefusedError("The manifest of columnar files must have meta.content_length")
    content = store.read(entry["url"])
    if content is None:
        if entry.get("mandatory"):
            raise CopyRefusedError(f"Problem reading manifest file: no {entry['url']}")
        return None
    if len(content) != length:
        raise CopyRefusedError(
            f"{entry['url']} has {len(content)} bytes, the manifest says {length}"
        )
    return entry["url"], content


def _rows_of_file(url: str, content: bytes, columns: Sequence[tuple[str, str]]) -> bytes:
    file = pq.ParquetFile(io.BytesIO(content), coerce_int96_timestamp_unit="us")
    stored = file.schema
    if len(stored) != len(columns):
        raise CopyRefusedError(
            "Spectrum Scan Error: Unmatched number of columns between table and file. "
            f"Table columns: {len(columns)}, Data columns: {len(stored)}, File name: {url}"
        )
    for position, (name, kind) in enumerate(columns):
        _check_type(url, stored.column(position), name, kind)
    table = file.read()
    texts = [
        _texts(table.column(position), name, kind) for position, (name, kind) in enumerate(columns)
    ]
    return "".join("\t".join(row) + "\n" for row in zip(*texts, strict=True)).encode()


def _check_type(url: str, stored: Any, name: str, kind: str) -> None:
    logical = json.loads(stored.logical_type.to_json())
    number = _DECIMAL.fullmatch(kind)
    if _TEXT.fullmatch(kind):
        fits = stored.physical_type == "BYTE_ARRAY" and logical["Type"] == "String"
    elif number:
        fits = stored.physical_type == "FIXED_LEN_BYTE_ARRAY" and (
            logical.get("precision"),
            logical.get("scale"),
        ) == (int(number[1]), int(number[2]))
    else:
        fits = stored.physical_type == _STORED[kind] and (
            (logical["Type"] == "Date") == (kind == "date")
        )
    if not fits:
        raise CopyRefusedError(
            f"Spectrum Scan Error: File '{url}' has an incompatible Parquet schema for column "
            f"'{name}'. Column type: {kind}, Parquet schema: {stored.physical_type} {logical}"
        )


def _texts(values: pa.ChunkedArray, name: str, kind: str) -> list[str]:
    text = _TEXT.fullmatch(kind)
    return [_text(value, name, int(text[1]) if text else None) for value in values.to_pylist()]


def _text(value: object, name: str, widest: int | None) -> str:
    match value:
        case None:
            text = r"\N"
        case str():
            text = _escaped(value, name, widest)
        case datetime():
            text = value.isoformat(sep=" ")
        case Decimal():
            text = format(value, "f")
        case _:
            text = str(value)
    return text


def _escaped(value: str, name: str, widest: int | None) -> str:
    if widest is not None and len(value.encode()) > widest:
        raise CopyRefusedError(
            f"Spectrum Scan Error: The length of the data column {name} is longer than the length "
            f"defined in the table. Table: {widest}"
        )
    if "\0" in value:
        raise CopyRefusedError(f"column {name} has a NUL character")
    return value.translate(_ESCAPES)
