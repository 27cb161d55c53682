"""IP addresses: their network prefix, and whether they lie in a data centre.

Belongs here: parsing, truncation and interval look-up, on columns. Does not belong here: where the
ranges come from.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from functools import lru_cache

import polars as pl

from adx_platform.refine.unique import map_unique

Ranges = tuple[tuple[int, int], ...]

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4_PATTERN = rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}"
_V4 = rf"\A{IPV4_PATTERN}\z"
_V4_BITS_KEPT = 24
_V6_BITS_KEPT = 48
_REMEMBERED = 16_384
"""Addresses kept parsed, a few MB: a bid request names its address in three places."""

NETWORK_SCHEMA = pl.Schema({"ip_prefix": pl.String, "in_data_centre": pl.Boolean})


def networks(ips: pl.Series, v4_ranges: Ranges, v6_ranges: Ranges) -> pl.DataFrame:
    """The network of each address.

    Args:
        ips: String series of addresses as text; surrounding blanks are ignored.
        v4_ranges: disjoint, ascending (first, last) of the data centres.
        v6_ranges: the same for IPv6.

    Returns:
        ``NETWORK_SCHEMA``, one row per row of ``ips``. Text that is no address gives null and
        false: a broken optional address is no reason to lose an event.
    """

    def judge(distinct: pl.Series) -> pl.DataFrame:
        return _judge(distinct, v4_ranges, v6_ranges)

    found = map_unique(ips, judge, NETWORK_SCHEMA)
    return found.with_columns(pl.col("in_data_centre").fill_null(value=False))


def _judge(distinct: pl.Series, v4_ranges: Ranges, v6_ranges: Ranges) -> pl.DataFrame:
    text = distinct.str.strip_chars()
    v4 = pl.when(pl.col("text").str.contains(_V4)).then("text")
    octets = [
        v4.str.split_exact(".", 3).struct.field(f"field_{place}").cast(pl.UInt32)
        for place in range(4)
    ]
    found = pl.DataFrame({"text": text}).select(
        number=octets[0] * (1 << 24) + octets[1] * (1 << 16) + octets[2] * (1 << 8) + octets[3],
        prefix=v4.str.replace(r"[0-9]+\z", "0/24"),
    )
    number, prefix = found["number"], found["prefix"]
    inside = _inside_v4(number, v4_ranges)
    others = number.is_null()
    if others.any():
        answers = [
            _judge_one(value, v4_ranges, v6_ranges) for value in text.filter(others).to_list()
        ]
        places = others.arg_true()
        prefix = prefix.scatter(places, pl.Series([a[0] for a in answers], dtype=pl.String))
        inside = inside.scatter(places, pl.Series([a[1] for a in answers], dtype=pl.Boolean))
    return pl.DataFrame({"ip_prefix": prefix, "in_data_centre": inside})


def _inside_v4(number: pl.Series, ranges: Ranges) -> pl.Series:
    if not ranges:
        return pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(number))
    firsts = pl.Series([first for first, _ in ranges], dtype=pl.UInt32)
    lasts = pl.Series([last for _, last in ranges], dtype=pl.UInt32)
    known = number.fill_null(0)
    at = firsts.search_sorted(known, side="right").cast(pl.Int64) - 1
    last = lasts.gather(at.clip(lower_bound=0))
    return (at >= 0) & (known <= last) & number.is_not_null()


def _judge_one(text: str, v4_ranges: Ranges, v6_ranges: Ranges) -> tuple[str | None, bool]:
    """IPv6 (also one that carries an IPv4 address), or no address at all."""
    known = _address(text)
    if known is None:
        return None, False
    prefix, version, number = known
    ranges = v6_ranges if version == 6 else v4_ranges  # noqa: PLR2004 -- IP version 6
    at = bisect_right(ranges, number, key=lambda pair: pair[0]) - 1
    return prefix, at >= 0 and number <= ranges[at][1]


@lru_cache(maxsize=_REMEMBERED)
def _address(text: str) -> tuple[str, int, int] | None:
    """An address' network, version and number."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return truncated(address), address.version, int(address)


def truncated(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The network that stands for the address: /24 of IPv4, /48 of IPv6."""
    kept = _V4_BITS_KEPT if isinstance(address, ipaddress.IPv4Address) else _V6_BITS_KEPT
    dropped = address.max_prefixlen - kept
    return f"{type(address)(int(address) >> dropped << dropped)}/{kept}"
