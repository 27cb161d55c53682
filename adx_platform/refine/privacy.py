"""Reduction of personal data: after this step no full address and no clear user id is left.

Belongs here: which columns hold personal data and what becomes of them. Does not belong here:
learning anything from them, which comes before (``enrich``).
"""

from __future__ import annotations

import polars as pl

from adx_platform.refine import text
from adx_platform.refine.extension import reduce_extension
from adx_platform.refine.networks import networks
from adx_platform.refine.pseudonyms import Pseudonymiser
from adx_platform.settings import PrivacySettings

_COORDINATE_DECIMALS = 1


def reduce_identity(frame: pl.DataFrame, privacy: PrivacySettings) -> pl.DataFrame:
    """Replace the user id by its pseudonym and drop the address.

    Args:
        frame: with ``raw_user_id`` (normalised) and ``ip``; ``ip_prefix`` is there already.
        privacy: the keys.

    Returns:
        The frame without ``raw_user_id`` and ``ip``, with ``user_id``, ``user_id_key_id`` and
        ``user_id_previous``.
    """
    raw = frame["raw_user_id"]
    previous = Pseudonymiser.previous(privacy)
    absent = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
    return frame.with_columns(
        Pseudonymiser.current(privacy).of_all(raw).alias("user_id"),
        (absent if previous is None else previous.of_all(raw)).alias("user_id_previous"),
        pl.when(raw.is_not_null()).then(pl.lit(privacy.key_id)).alias("user_id_key_id"),
    ).drop("raw_user_id", "ip")


def reduce_openrtb(frame: pl.DataFrame, privacy: PrivacySettings) -> pl.DataFrame:
    """Reduce the OpenRTB object columns and ``extension_json``.

    Addresses become their network, ``ifa``, ``buyeruid``, ``user.id`` and the ids of ``eids``
    become pseudonyms (all-zero ids become null), coordinates are rounded to 0.1 degree.
    """
    pseudonymiser = Pseudonymiser.current(privacy)
    device, user = frame["device"].struct, frame["user"].struct
    own = pl.DataFrame(
        {
            "ip": device.field("ip").str.strip_chars(),
            "ipv6": device.field("ipv6").str.strip_chars(),
            "ifa": device.field("ifa").str.strip_chars(),
            "id": user.field("id").str.strip_chars(),
            "buyeruid": user.field("buyeruid").str.strip_chars(),
        }
    )
    device_columns = frame.select(
        pl.col("device").struct.with_fields(
            _network_of(own["ip"]).alias("ip"),
            _network_of(own["ipv6"]).alias("ipv6"),
            _pseudonyms_of(own["ifa"], pseudonymiser).alias("ifa"),
            _rounded_geo("device"),
        )
    )
    user_columns = frame.select(
        pl.col("user").struct.with_fields(
            _pseudonyms_of(own["id"], pseudonymiser).alias("id"),
            _pseudonyms_of(own["buyeruid"], pseudonymiser).alias("buyeruid"),
            _rounded_geo("user"),
            _reduced_eids(frame["user"], pseudonymiser),
        )
    )
    extension = reduce_extension(frame["extension_json"], own, pseudonymiser)
    return frame.with_columns(
        device_columns["device"], user_columns["user"], extension.alias("extension_json")
    )


def _network_of(addresses: pl.Series) -> pl.Series:
    return networks(addresses, (), ())["ip_prefix"]


def _pseudonyms_of(ids: pl.Series, pseudonymiser: Pseudonymiser) -> pl.Series:
    normal = pl.DataFrame({"id": ids}).select(text.user_id("id")).to_series()
    return pseudonymiser.of_all(normal)


def _rounded_geo(owner: str) -> pl.Expr:
    geo = pl.col(owner).struct.field("geo")
    return geo.struct.with_fields(
        geo.struct.field("lat").round(_COORDINATE_DECIMALS),
        geo.struct.field("lon").round(_COORDINATE_DECIMALS),
    ).alias("geo")


def _reduced_eids(user: pl.Series, pseudonymiser: Pseudonymiser) -> pl.Expr:
    """``user.eids`` with each ``uids.id`` replaced; the values are two lists deep."""
    eids = pl.col("user").struct.field("eids")
    ids = (
        user.struct.field("eids")
        .drop_nulls()
        .explode()
        .struct.field("uids")
        .drop_nulls()
        .explode()
        .struct.field("id")
        .drop_nulls()
        .unique()
    )
    if ids.is_empty():
        return eids
    pseudonyms = _pseudonyms_of(ids, pseudonymiser)
    uid = pl.element().struct.with_fields(
        pl.element()
        .struct.field("id")
        .replace_strict(ids, pseudonyms, default=None, return_dtype=pl.String)
    )
    eid = pl.element().struct.with_fields(pl.element().struct.field("uids").list.eval(uid))
    return eids.list.eval(eid)
