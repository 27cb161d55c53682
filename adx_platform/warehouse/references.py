"""Reference data into the warehouse.

Belongs here: carrying judged reference tables over. Does not belong here: reading or judging files
(``reference.files``).
"""

from __future__ import annotations

from adx_platform.reference.files import ReferenceData
from adx_platform.warehouse.base import Warehouse


def load_reference_data(
    warehouse: Warehouse, data: ReferenceData, *, force: bool = False
) -> tuple[str, ...]:
    """Replace the reference tables whose content changed.

    Args:
        warehouse: open, with its schema in place.
        data: from ``reference.files.load_reference``.
        force: write every table, also one whose content was loaded already: its rows may have
            been changed behind our back.

    Returns:
        Names of the tables that were written; none when everything was loaded already.
    """
    return tuple(
        name
        for name, frame in data.tables.items()
        if warehouse.load_reference(name, frame, version=data.versions[name], force=force)
    )
