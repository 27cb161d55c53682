"""Personal data inside ``extension_json``: what is not modelled must not leak either.

Belongs here: finding and reducing addresses, ids and coordinates in free JSON. Does not belong
here: the modelled columns (``privacy``).

Parsing 100,000 texts costs seconds, so texts are screened by one regular expression first; only
those that name something personal, or hold an address, are parsed and written again.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from math import isfinite

import msgspec
import polars as pl

from adx_platform.codecs.json_depth import too_deep
from adx_platform.contracts.json_values import JsonValue
from adx_platform.refine.networks import IPV4_PATTERN, truncated
from adx_platform.refine.pseudonyms import Pseudonymiser

_ADDRESS_NAMES = (
    "ip",
    "ipv4",
    "ipv6",
    "ipaddr",
    "ipaddress",
    "clientip",
    "deviceip",
    "userip",
    "remoteip",
    "remoteaddr",
    "realip",
    "xrealip",
    "forwardedfor",
    "xforwardedfor",
    "xff",
)
_ID_NAMES = (
    "ifa",
    "idfa",
    "idfv",
    "gaid",
    "aaid",
    "adid",
    "oaid",
    "tifa",
    "androidid",
    "advertisingid",
    "deviceid",
    "didsha1",
    "didmd5",
    "dpid",
    "dpidsha1",
    "dpidmd5",
    "mac",
    "macsha1",
    "macmd5",
    "imei",
    "buyeruid",
    "buyerid",
    "userid",
    "uid",
    "uid2",
    "uids",
    "puid",
    "ppid",
    "fpid",
    "eid",
    "visitorid",
    "sessionid",
    "cookieid",
    "customerid",
    "email",
    "emailhash",
    "hem",
    "phone",
    "msisdn",
    "customdata",
)
_COORDINATE_NAMES = ("lat", "lon", "lng", "latitude", "longitude")
_PARENTS_OF_IDS = frozenset({"user", "uids"})
_COORDINATE_DECIMALS = 1
"""About 11 km: enough for a market, too little for a house."""
_SHORTEST_ID = 6
"""Shorter own ids are not searched for in other texts: they would hit by chance."""


def _loosely(names: Sequence[str]) -> str:
    return "|".join("[-_ ]?".join(name) for name in names)


# Parsing what cannot be an address costs 2 microseconds a text.
_ADDRESS_LIKE = re.compile(r"\s*[0-9a-fA-F]*[.:][0-9a-fA-F.:]*(?:%\w+)?\s*")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ALL_NAMES = _loosely((*_ADDRESS_NAMES, *_ID_NAMES, *_COORDINATE_NAMES))
_SUSPECT = (
    rf'(?i)["/](?:{_ALL_NAMES})["/]|["/]user["/]|"{IPV4_PATTERN}"|'
    r'"[0-9a-f]{0,4}:[0-9a-f:.]*:[0-9a-f:.]*(?:%\w+)?"|\\u'
)


def readable_extensions(extension: pl.Series) -> pl.Series:
    """Which texts are JSON objects that every reader of them can read.

    Args:
        extension: String; a null is readable.

    Returns:
        Boolean, aligned with ``extension``: false for what is no JSON object, and for what is
        nested too deeply.
    """
    present = extension.is_not_null()
    at = present.arg_true()
    readable = pl.Series([_is_object(text) for text in extension.gather(at)], dtype=pl.Boolean)
    judged = (~present).scatter(at, readable) if len(at) else ~present
    return judged & ~too_deep(extension)


def _is_object(text: str) -> bool:
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def reduce_extension(
    extension: pl.Series, own: pl.DataFrame, pseudonymiser: Pseudonymiser
) -> pl.Series:
    """Reduce the personal data in JSON texts.

    Args:
        extension: String series of JSON objects from JSON pointer to value, readable
            (:func:`readable_extensions`); null where there is none.
        own: String columns, aligned with ``extension``: personal values that each row has
            elsewhere (addresses, ids as sent). Where one occurs inside a text of its row, it is
            replaced there too.
        pseudonymiser: for ids.

    Returns:
        String series: addresses cut to their network, ids replaced by pseudonyms, coordinates
        rounded. A text without any of these is returned as it came.
    """
    wide = own.with_columns(extension=extension).with_row_index("at")
    holds_own = [
        (pl.col(name).str.len_chars() >= _SHORTEST_ID)
        & pl.col("extension").str.contains(pl.col(name), literal=True)
        for name in own.columns
    ]
    suspects = wide.filter(pl.col("extension").is_not_null()).filter(
        pl.any_horizontal(
            pl.col("extension").str.contains(_SUSPECT),
            *(expression.fill_null(value=False) for expression in holds_own),
        )
    )
    if suspects.is_empty():
        return extension
    reduced = [
        _reduce_text(text, [value for value in values if value], pseudonymiser)
        for text, *values in suspects.select("extension", *own.columns).iter_rows()
    ]
    return extension.scatter(suspects["at"], pl.Series(reduced, dtype=pl.String))


def _reduce_text(text: str, own: list[str], pseudonymiser: Pseudonymiser) -> str:
    reducer = _Reducer(own, pseudonymiser)
    reduced = {
        pointer: reducer.value(_path(pointer), value) for pointer, value in json.loads(text).items()
    }
    return json.dumps(reduced, separators=(",", ":"))


def _path(pointer: str) -> tuple[str, ...]:
    parts = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    return tuple(_plain(part) for part in parts if not part.isdecimal())


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


class _Reducer:
    """Walks one document; knows the row's own personal values."""

    def __init__(self, own: list[str], pseudonymiser: Pseudonymiser) -> None:
        self._pseudonymiser = pseudonymiser
        self._own = {value: self._stand_in(value) for value in own if len(value) >= _SHORTEST_ID}

    def value(self, path: tuple[str, ...], value: JsonValue) -> JsonValue:
        """The value at ``path`` (plain names, without array positions), reduced."""
        if isinstance(value, dict):
            return {name: self.value((*path, _plain(name)), item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(path, item) for item in value]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, float) and not isfinite(value):
            # 1e999 is JSON, and no number that could be written again.
            return None
        return self._scalar(path, value)

    def _scalar(self, path: tuple[str, ...], value: str | float) -> JsonValue:
        if self._is_id(path):
            return self._pseudonym(str(value))
        name = path[-1] if path else ""
        if name in _ADDRESS_NAMES:
            return _network(str(value))
        if name in _COORDINATE_NAMES:
            return _rounded(value)
        return self._text(name, value) if isinstance(value, str) else value

    @staticmethod
    def _is_id(path: tuple[str, ...]) -> bool:
        if any(name in _ID_NAMES for name in path):
            # Everything below an id's name belongs to it, but for the kind of id.
            return path[-1] not in ("atype", "linktype", "source", "type", "ext", "rtipartner")
        return len(path) > 1 and path[-1] == "id" and path[-2] in _PARENTS_OF_IDS

    def _pseudonym(self, value: str) -> str | None:
        normal = normal_user_id(value)
        return None if normal is None else self._pseudonymiser.of(normal)

    def _stand_in(self, value: str) -> str:
        return _network(value) or self._pseudonym(value) or ""

    def _text(self, name: str, text: str) -> str | None:
        # A version number can look like an address.
        if "ver" not in name:
            network = _network(text)
            if network is not None:
                return network
        for own, stand_in in self._own.items():
            if own in text:
                text = text.replace(own, stand_in)
        return text


def normal_user_id(value: str) -> str | None:
    """One id in its one form, as ``text.user_id`` has it for columns."""
    value = value.strip()
    if re.fullmatch(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?", value):
        value = value.lower()
    return None if not value or re.fullmatch(r"[0-]+", value) else value


def _network(value: str) -> str | None:
    if _ADDRESS_LIKE.fullmatch(value) is None:
        return None
    try:
        return truncated(ipaddress.ip_address(value.strip().partition("%")[0]))
    except ValueError:
        return None


def _rounded(value: float | str) -> float | str | None:
    if isinstance(value, str):
        try:
            return str(round(float(value), _COORDINATE_DECIMALS))
        except ValueError:
            return None
    return round(value, _COORDINATE_DECIMALS)
