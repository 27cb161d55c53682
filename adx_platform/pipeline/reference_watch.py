"""Whether the reference files have changed: a resident process must not enrich with stale data.

Belongs here: noticing, and reading again what the refiner uses. Does not belong here: loading the
reference tables into a warehouse, which has its own sensor.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from adx_platform.reference.enrichment import LoadedEnrichmentReference, load_enrichment_reference
from adx_platform.reference.files import files_digest

_INTERVAL_SECONDS: Final = 5.0


class ReferenceWatch:
    """Looks at the folder every few seconds, and reads it when its content is new."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        """Take the content as of now as known.

        Args:
            folder: of the reference files.
            clock: seconds that only go forward.
        """
        self._folder = folder
        self._clock = clock
        self._digest = files_digest(folder)
        self._look_at = clock() + _INTERVAL_SECONDS

    def changed(self) -> LoadedEnrichmentReference | None:
        """What the files hold now, if that is new; ``None`` otherwise.

        Raises:
            ValueError: the files changed and cannot be used; the same content is not read twice.
            OSError: likewise, for a file that cannot be read.
        """
        if self._clock() < self._look_at:
            return None
        self._look_at = self._clock() + _INTERVAL_SECONDS
        digest = files_digest(self._folder)
        if digest == self._digest:
            return None
        self._digest = digest
        return load_enrichment_reference(self._folder)
