"""What can be wrong with a table of paths, touches or conversions.

Belongs here: the package's error. Does not belong here: wrong options of the command line.
"""

from __future__ import annotations

from adx_platform.errors import AdxError


class AttributionError(AdxError):
    """A table cannot be attributed; the message names the row or column and what to do."""
