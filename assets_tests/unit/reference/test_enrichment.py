from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from adx_platform.reference.enrichment import (
    EnrichmentReferenceError,
    load_enrichment_reference,
)


def write(folder: Path, text: str) -> Path:
    (folder / "data_centre_ranges.csv").write_text(text, encoding="utf-8")
    return folder


def test_an_absent_file_is_no_ranges(tmp_path: Path) -> None:
    reference = load_enrichment_reference(tmp_path)
    assert reference.data_centre_v4 == ()
    assert len(reference.crawler_patterns) > 1000
    assert len(reference.version) == 12


def test_ranges_are_merged_and_sorted(tmp_path: Path) -> None:
    text = (
        "owner,cidr\nb,10.0.1.0/24\na,10.0.0.0/24\na,10.0.0.128/25\nc,192.0.2.1\nd,2001:db8::/32\n"
    )
    reference = load_enrichment_reference(write(tmp_path, text))
    first, last = ipaddress.IPv4Address("10.0.0.0"), ipaddress.IPv4Address("10.0.1.255")
    single = int(ipaddress.IPv4Address("192.0.2.1"))
    assert reference.data_centre_v4 == ((int(first), int(last)), (single, single))
    assert len(reference.data_centre_v6) == 1


def test_the_version_follows_the_content_not_the_layout(tmp_path: Path) -> None:
    empty = load_enrichment_reference(tmp_path).version
    one = load_enrichment_reference(write(tmp_path, "cidr,owner\n10.0.0.0/24,a\n")).version
    again = load_enrichment_reference(
        write(tmp_path, "owner,cidr\nb,10.0.0.0/25\nb,10.0.0.128/25\n")
    ).version
    other = load_enrichment_reference(write(tmp_path, "cidr,owner\n10.0.1.0/24,a\n")).version
    assert one == again
    assert len({empty, one, other}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cidr\n10.0.0.0/24\n", "the first line must name cidr,owner"),
        ("", "the first line must name cidr,owner"),
        ("cidr,owner\n10.0.0.0/24,a\nnowhere,b\n", "line 3: 'nowhere' is not a range"),
        ("cidr,owner\n,a\n", "line 2: '' is not a range"),
    ],
)
def test_an_unusable_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EnrichmentReferenceError, match=message):
        load_enrichment_reference(write(tmp_path, text))
