"""The type of a JSON value, for annotations.

Belongs here: nothing else.
"""

from __future__ import annotations

from typing import Any, TypeAlias

JsonValue: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any] | None
"""What ``json.loads`` gives."""
