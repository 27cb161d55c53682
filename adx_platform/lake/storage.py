"""Where the lake is and what opens it: a file path, ``file://``, ``s3://`` or ``hdfs://``.

Belongs here: URIs, credentials and the translation of storage failures into sentences. Does not
belong here: tables. Credentials are never shown: the repr masks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

from deltalake.exceptions import DeltaError
from polars.exceptions import PolarsError

from adx_platform.lake.errors import LakeUnavailable
from adx_platform.settings import LakeSettings, Settings

REMOTE_SCHEMES: Final = frozenset({"s3", "s3a", "hdfs", "viewfs"})

_MAX_RETRIES: Final = 4

# What the object store client answers, and what the reader of the message can do about it.
_ADVICE: Final[tuple[tuple[str, str], ...]] = (
    (
        "NoSuchBucket",
        "the bucket does not exist: create it, or correct ADX_LAKE__URI",
    ),
    (
        "InvalidAccessKeyId",
        "the access key is not known to the store: check ADX_LAKE__S3_ACCESS_KEY_ID",
    ),
    (
        "SignatureDoesNotMatch",
        "the secret does not belong to the access key: check ADX_LAKE__S3_SECRET_ACCESS_KEY",
    ),
    (
        "AccessDenied",
        "the credentials may not do this: check the policy of the bucket and of the key",
    ),
    ("403 Forbidden", "the store refuses the credentials: check the ADX_LAKE__S3_... variables"),
    *(
        (mark, "the store is overloaded: run again; nothing is lost")
        for mark in ("429 Too Many Requests", "503 Service Unavailable")
    ),
    *(
        (mark, "the store failed: run again; nothing is lost")
        for mark in ("500 Internal Server Error", "502 Bad Gateway", "504 Gateway Timeout")
    ),
    # The object store client retries a request, but not an answer that breaks off.
    ("error reading a body", "the store's answer broke off: run again; nothing is lost"),
    ("operation timed out", "the store did not answer in time: run again; nothing is lost"),
    (
        "Connection refused",
        "nothing listens there: check ADX_LAKE__S3_ENDPOINT and that the store is up",
    ),
    ("error sending request", "the store does not answer: check ADX_LAKE__S3_ENDPOINT"),
    ("dns error", "the store's host name is not known: check ADX_LAKE__S3_ENDPOINT"),
    (
        "HTTP disabled",
        "the endpoint is plain http: set ADX_LAKE__S3_ALLOW_HTTP=true where that is intended",
    ),
    ("URL scheme is not allowed", "set ADX_LAKE__S3_ALLOW_HTTP=true where plain http is intended"),
    ("Permission denied", "this user may not read or write there: check the folder's owner"),
    ("No space left", "the disk is full: free space, then run again; nothing is lost"),
    ("Timeout", "the store did not answer in time: run again; nothing is lost"),
)


@dataclass(frozen=True)
class LakeStorage:
    """Root of the lake and the options under which it is opened.

    Attributes:
        uri: root without a trailing slash: an absolute local path, or a remote URI.
        options: storage options of the object store client; masked in the repr.
    """

    uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The lake of ``settings``.

        Raises:
            ValueError: the URI has a scheme that the lake does not know.
        """
        return cls.at(settings.lake_uri, settings.lake)

    @classmethod
    def at(cls, uri: str, section: LakeSettings | None = None) -> Self:
        """The lake at ``uri``, opened with the credentials of ``section``.

        Raises:
            ValueError: the URI has a scheme that the lake does not know.
        """
        scheme = urlsplit(uri).scheme.lower()
        if scheme in REMOTE_SCHEMES:
            options = _s3_options(section or LakeSettings()) if scheme.startswith("s3") else {}
            return cls(uri.rstrip("/"), options)
        if scheme == "file":
            return cls(str(Path(url2pathname(urlsplit(uri).path)).absolute()))
        # One letter is a Windows drive.
        if scheme and "://" in uri:
            raise ValueError(
                f"ADX_LAKE__URI: scheme {scheme!r} is not supported; "
                "give a path, file://, s3:// or hdfs://"
            )
        return cls(str(Path(uri).expanduser().absolute()))

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return urlsplit(self.uri).scheme.lower() not in REMOTE_SCHEMES

    @property
    def is_hdfs(self) -> bool:
        """Whether the lake is on HDFS, which only the Delta client itself can read."""
        return urlsplit(self.uri).scheme.lower() in {"hdfs", "viewfs"}

    def table_uri(self, name: str) -> str:
        """URI of the table ``name``, for example ``raw/ad_impressions``."""
        return str(Path(self.uri, *name.split("/"))) if self.is_local else f"{self.uri}/{name}"

    @property
    def scan_options(self) -> dict[str, str | int] | None:
        """The same options as polars' reader wants them: it refuses a number that is text."""
        if not self.options:
            return None
        return {**self.options, "max_retries": _MAX_RETRIES}

    @contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn storage failures inside the block into :class:`LakeUnavailable` with advice.

        Errors that are not the storage's (a commit conflict, a wrong schema) pass unchanged.
        """
        try:
            yield
        except (DeltaError, OSError, PolarsError) as error:
            text = str(error)
            advice = next((advice for mark, advice in _ADVICE if mark in text), None)
            if advice is None:
                raise
            raise LakeUnavailable(f"{doing} in the lake {self.uri} failed: {advice}") from error


def _s3_options(section: LakeSettings) -> dict[str, str]:
    options = {
        "aws_region": section.s3_region,
        # The commit protocol rests on put-if-absent: without it two writers both win.
        "aws_conditional_put": "etag",
        # A store that is away must give an error within half a minute, not after three.
        "max_retries": str(_MAX_RETRIES),
        "connect_timeout": "5s",
        "timeout": f"{round(section.s3_timeout_seconds * 1000)}ms",
    }
    if section.s3_endpoint:
        options["aws_endpoint_url"] = section.s3_endpoint
    if section.s3_allow_http:
        options["aws_allow_http"] = "true"
    if section.s3_access_key_id:
        options["aws_access_key_id"] = section.s3_access_key_id
    if section.s3_secret_access_key:
        options["aws_secret_access_key"] = section.s3_secret_access_key.get_secret_value()
    return options
