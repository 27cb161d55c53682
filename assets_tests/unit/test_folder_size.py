from __future__ import annotations

from pathlib import Path

import pytest

from adx_platform.folder_size import bytes_in


def test_files_count_and_folders_do_not(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"123")
    (tmp_path / "two").write_bytes(b"45")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "three").write_bytes(b"6789")
    assert bytes_in(tmp_path) == 5


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert bytes_in(tmp_path / "never") == 0


def test_a_file_that_goes_while_it_is_looked_at_counts_as_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kafka.wal").write_bytes(b"123")
    (tmp_path / "kafka.tmp").write_bytes(b"45")
    listed = Path.iterdir

    def then_renamed(folder: Path) -> list[Path]:
        found = list(listed(folder))
        (tmp_path / "kafka.tmp").replace(tmp_path / "kafka.db")
        return found

    monkeypatch.setattr(Path, "iterdir", then_renamed)
    assert bytes_in(tmp_path) == 3
