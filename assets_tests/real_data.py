"""Third parties' data: where it is, and skipping where it is not.

Belongs here: the folder and the files that tests read. Does not belong here: the data. It is not
ours to commit: it lies beside the repository, or where ADX_TEST_DATA says.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "ADX_TEST_DATA"
DATA = Path(os.environ.get(VARIABLE) or Path(__file__).resolve().parents[2] / "shared" / "data")
OPENRTB_REQUESTS = DATA / "openrtb" / "pbs_incoming.ndjson"

needs_openrtb_requests = pytest.mark.skipif(
    not OPENRTB_REQUESTS.is_file(), reason=f"no real OpenRTB requests: set {VARIABLE}"
)


def data_folder(*parts: str) -> Path:
    """A folder of the data, or the test is skipped."""
    folder = DATA.joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"no {'/'.join(parts) or 'data of third parties'}: set {VARIABLE}")
    return folder
