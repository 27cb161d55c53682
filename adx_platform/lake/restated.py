"""The application id under which applied restatements are counted.

Belongs here: one name that writers and readers of restatements share. Does not belong here:
anything else.
"""

from __future__ import annotations


def restated_app_id(topic_id: str, partition: int) -> str:
    """Application id, in the events table, of the newest restatement applied to a partition."""
    return f"{topic_id}/{partition}/restated"
