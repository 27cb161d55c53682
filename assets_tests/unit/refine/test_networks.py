from __future__ import annotations

import ipaddress

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adx_platform.refine.networks import networks

V4 = tuple(
    (int(ipaddress.IPv4Address(first)), int(ipaddress.IPv4Address(last)))
    for first, last in (("10.0.0.0", "10.0.0.255"), ("203.0.113.128", "203.0.113.129"))
)
V6 = ((int(ipaddress.IPv6Address("2001:db8::")), int(ipaddress.IPv6Address("2001:db8::ffff"))),)


@pytest.mark.parametrize(
    ("address", "prefix", "inside"),
    [
        ("10.0.0.0", "10.0.0.0/24", True),
        ("10.0.0.255", "10.0.0.0/24", True),
        ("10.0.1.0", "10.0.1.0/24", False),
        ("9.255.255.255", "9.255.255.0/24", False),
        ("203.0.113.127", "203.0.113.0/24", False),
        ("203.0.113.128", "203.0.113.0/24", True),
        ("203.0.113.130", "203.0.113.0/24", False),
        ("255.255.255.255", "255.255.255.0/24", False),
        (" 10.0.0.1 ", "10.0.0.0/24", True),
        ("2001:db8::1", "2001:db8::/48", True),
        ("2001:DB8:0:0::1:0", "2001:db8::/48", False),
        ("::ffff:10.0.0.9", "10.0.0.0/24", True),
        ("fe80::1%eth0", "fe80::/48", False),
        ("010.0.0.1", None, False),
        ("256.0.0.1", None, False),
        ("10.0.0", None, False),
        ("10.0.0.1:80", None, False),
        ("", None, False),
        ("localhost", None, False),
        (None, None, False),
    ],
)
def test_prefix_and_range(address: str | None, prefix: str | None, inside: bool) -> None:
    found = networks(pl.Series([address], dtype=pl.String), V4, V6)
    assert found.rows() == [(prefix, inside)]


def test_without_ranges_nothing_is_inside_and_order_is_kept() -> None:
    addresses = ["10.0.0.1", None, "x", "2001:db8::1", "10.0.0.1"]
    found = networks(pl.Series(addresses), (), ())
    assert found["ip_prefix"].to_list() == [
        "10.0.0.0/24",
        None,
        None,
        "2001:db8::/48",
        "10.0.0.0/24",
    ]
    assert not found["in_data_centre"].any()


@given(st.lists(st.ip_addresses(), max_size=20))
def test_it_agrees_with_the_standard_library(addresses: list[ipaddress.IPv4Address]) -> None:
    found = networks(pl.Series([str(a) for a in addresses], dtype=pl.String), V4, V6)
    for address, (prefix, inside) in zip(addresses, found.rows(), strict=True):
        plain = getattr(address, "ipv4_mapped", None) or address
        assert plain in ipaddress.ip_network(prefix)
        ranges = V4 if plain.version == 4 else V6
        assert inside == any(first <= int(plain) <= last for first, last in ranges)
