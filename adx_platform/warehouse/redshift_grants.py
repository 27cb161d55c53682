"""Who may read which columns of the published marts.

Belongs here: which columns are personal, and the GRANT statements. Does not belong here: creating
roles, or who is in them, which is the administrator's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from adx_platform.settings_sections import WarehouseSettings
from adx_platform.warehouse.redshift_connection import name_of

RESTRICTED_COLUMNS: Final = frozenset({"user_id", "user_id_previous"})
"""Pseudonyms of people: personal data, although nobody can be named by them."""


def grant_statements(
    section: WarehouseSettings, schema: str, columns: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Statements that let the roles of ``section`` read ``schema``; none where no role is set.

    A table without a personal column is granted whole; of another the reader's role gets every
    column but those.

    Args:
        section: names the roles.
        schema: where the tables or views are.
        columns: their columns, by name.
    """
    for role in (section.reader_role, section.restricted_role):
        if role is not None:
            yield f"GRANT USAGE ON SCHEMA {schema} TO ROLE {name_of(role)}"
    for table, names in columns.items():
        where = f"{schema}.{name_of(table)}"
        if section.restricted_role is not None:
            yield f"GRANT SELECT ON {where} TO ROLE {name_of(section.restricted_role)}"
        if section.reader_role is not None:
            open_to_all = [name for name in names if name not in RESTRICTED_COLUMNS]
            listed = ", ".join(name_of(name) for name in open_to_all)
            what = "SELECT" if len(open_to_all) == len(names) else f"SELECT ({listed})"
            yield f"GRANT {what} ON {where} TO ROLE {name_of(section.reader_role)}"
