"""Expressions that bring text into the contract's form.

Belongs here: trimming, case and closed lists. Does not belong here: rejecting anything.
"""

from __future__ import annotations

import polars as pl

_UUID = r"\A\{?[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\}?\z"
_ALL_ZERO = r"\A[0-]+\z"

_DEVICE_TYPES: dict[str | None, str | None] = {
    None: None,
    "desktop": "desktop",
    "pc": "desktop",
    "personal computer": "desktop",
    "computer": "desktop",
    "laptop": "desktop",
    "mobile": "mobile",
    "phone": "mobile",
    "smartphone": "mobile",
    "mobile phone": "mobile",
    "tablet": "tablet",
    "ctv": "ctv",
    "tv": "ctv",
    "connected tv": "ctv",
    "connected_tv": "ctv",
    "smart tv": "ctv",
    "smarttv": "ctv",
    "set top box": "ctv",
    "stb": "ctv",
    "other": "other",
}


def trimmed(name: str | pl.Expr) -> pl.Expr:
    """Without surrounding white space; null if nothing is left."""
    text = (pl.col(name) if isinstance(name, str) else name).str.strip_chars()
    # Not `when ... then`: polars computes an expression as often as it is named, 30 ns each.
    return text.replace("", None)


def lowered(name: str | pl.Expr) -> pl.Expr:
    """Trimmed and lower-cased."""
    return trimmed(name).str.to_lowercase()


def raised(name: str | pl.Expr) -> pl.Expr:
    """Trimmed and upper-cased."""
    return trimmed(name).str.to_uppercase()


def user_id(name: str | pl.Expr) -> pl.Expr:
    """A user id in its one form: uuids lower-cased; an all-zero id (tracking refused) is null."""
    text = trimmed(name)
    form = pl.when(text.str.contains(_UUID)).then(text.str.to_lowercase()).otherwise(text)
    return pl.when(~text.str.contains(_ALL_ZERO)).then(form)


def device_type(name: str | pl.Expr) -> pl.Expr:
    """A sent device type as one of the contract's; unknown words are ``other``."""
    return lowered(name).replace_strict(_DEVICE_TYPES, default="other", return_dtype=pl.String)


def has_consent(consent: pl.Expr, gdpr_applies: pl.Expr) -> pl.Expr:
    """The stated consent; without one, it is needed only where the GDPR applies."""
    return pl.coalesce(consent, ~gdpr_applies, pl.lit(value=True))
