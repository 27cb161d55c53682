"""The base of every error that is meant for a person.

Belongs here: nothing but the base class. The error types are in the package that raises them; the
command line prints any ``AdxError`` as one line and exits with 1.
"""

from __future__ import annotations


class AdxError(Exception):
    """Something went wrong in a way we foresaw; the message says what to do about it."""
