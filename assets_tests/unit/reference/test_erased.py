from __future__ import annotations

from pathlib import Path

import pytest

from adx_platform.reference.enrichment import load_enrichment_reference
from adx_platform.reference.erased import ErasedListError, add_erased, load_erased

ONE, TWO = "1" * 64, "2" * 64


def test_the_list_grows_and_the_version_follows(tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    assert load_erased(folder) == frozenset()
    versions = [load_enrichment_reference(folder).version]
    assert add_erased(folder, [TWO])
    versions.append(load_enrichment_reference(folder).version)
    assert add_erased(folder, [ONE, TWO])
    assert not add_erased(folder, [ONE])
    reference = load_enrichment_reference(folder)
    assert reference.erased == load_erased(folder) == {ONE, TWO}
    assert len({*versions, reference.version}) == 3
    assert [path.name for path in folder.iterdir()] == ["erased_users.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be pseudonym_sha256"),
        ("pseudonym_sha256\nann\n", "line 2: not the SHA-256"),
        (f"pseudonym_sha256\n{ONE},{TWO}\n", "line 2: not the SHA-256"),
    ],
)
def test_a_damaged_list_forgets_nobody_in_silence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "erased_users.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ErasedListError, match=message):
        load_enrichment_reference(tmp_path)
