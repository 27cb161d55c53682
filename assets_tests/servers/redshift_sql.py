"""Statements of Redshift as PostgreSQL can run them.

Belongs here: the words that PostgreSQL lacks, taken out or put in another way; nothing that changes
what a statement means. Does not belong here: COPY, which is carried out (``redshift_copy``).

Text is rewritten, not a parsed tree: a tree that is written out again in another dialect was
measured to lose words (``ignore nulls``) and to refuse others (a sort key behind a table's name).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_Replacement = str | Callable[[re.Match[str]], str]

_LISTAGG: Final = (
    r"\blistagg\s*\(((?:[^()]|\([^()]*\))*)\)\s*"
    r"within\s+group\s*\(\s*(order\s+by(?:[^()]|\([^()]*\))*)\)"
)
_VACUUM: Final = (
    r"^\s*vacuum\s+(?:full|sort\s+only|delete\s+only|reindex|recluster)\s+([\w.\"]+)"
    r"(?:\s+to\s+\d+\s+percent)?\s*;?\s*$"
)
_RULES: Final[tuple[tuple[re.Pattern[str], _Replacement], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        # How rows are spread over the nodes and sorted on them.
        (r"\bdiststyle\s+(?:key|even|all|auto)\b", ""),
        (r"\bdistkey\s*\(\s*\"?\w+\"?\s*\)", ""),
        (r"\b(?:(?:compound|interleaved)\s+)?sortkey\s*\([^)]*\)", ""),
        (r"\bbackup\s+(?:yes|no)\b", ""),
        (r"\bwith\s+no\s+schema\s+binding\b", ""),
        # A date part is a bare word there, and must be a text here.
        (r"\b(dateadd|datediff)\s*\(\s*(\w+)\s*,", r"\1('\2',"),
        (r"\bapproximate\s+count\b", "count"),
        (
            _LISTAGG,
            r"string_agg(\1 \2)",
        ),
        # Grants name the kind of grantee.
        (r"^(\s*(?:grant|revoke)\b.*\b(?:to|from))\s+role\s+", r"\1 "),
        (r"^\s*create\s+role\s+(?!if\b)", "create role "),
        # Upkeep: what PostgreSQL does, it does as a whole.
        (
            _VACUUM,
            r"vacuum \1",
        ),
        (r"^\s*analyze\s+([\w.\"]+)\s+(?:predicate|all)\s+columns\s*;?\s*$", r"analyze \1"),
    )
)


def for_postgres(sql: str) -> str:
    """``sql`` without what only Redshift understands."""
    for pattern, replacement in _RULES:
        sql = pattern.sub(replacement, sql)
    return sql
