"""OpenRTB 2.6 as columns: the modelled subset and the way there and back.

Belongs here: the table (``model``), what follows from it (``derive``) and the lossless conversion
(``lossless``). Does not belong here: our own envelope around a request, or any judgement of it.
"""

from __future__ import annotations

from adx_platform.contracts.openrtb.derive import (
    EXTENSION_FIELD,
    OPENRTB_COLUMNS,
    avro_fields,
    polars_dtype,
)
from adx_platform.contracts.openrtb.lossless import rebuild, rebuild_from_columns, shred
from adx_platform.contracts.openrtb.model import BID_REQUEST, CONTRACT_NAMES

__all__ = [
    "BID_REQUEST",
    "CONTRACT_NAMES",
    "EXTENSION_FIELD",
    "OPENRTB_COLUMNS",
    "avro_fields",
    "polars_dtype",
    "rebuild",
    "rebuild_from_columns",
    "shred",
]
