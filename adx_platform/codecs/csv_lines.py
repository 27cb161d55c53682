"""CSV lines of the ``clicks_conversions`` topic to columns.

Every message is checked against the RFC 4180 grammar on its own first; only then are the lines
joined and split by polars' reader. A joined reader alone is not safe: an unterminated quote in one
message swallows the messages behind it, and short rows become nulls without a word (measured
2026-11). Real user agents hold commas, so most lines are quoted and a reader row by row is no way
out. Lines with a newline inside quotes are rare and are split one by one, by the same grammar: the
csv module raises at a field of more than 128 KiB, and its limit is the whole process's.

Belongs here: syntax, column counts and types. Does not belong here: required fields and allowed
values.
"""

from __future__ import annotations

import re
from functools import cache

import polars as pl

from adx_platform.codecs.result import DecodedBatch, Reject, rejects_frame
from adx_platform.codecs.screening import MAX_MESSAGE_BYTES, screen_texts
from adx_platform.contracts.clicks_conversions import CSV_COLUMNS_BY_VERSION
from adx_platform.contracts.dispositions import ReasonCode

_QUOTED = r'"(?:[^"]|"")*"'
_FIELD = rf'(?:{_QUOTED}|[^",\r\n]*)'
_LINE = rf"\A{_FIELD}(?:,{_FIELD})*\z"
_FIELDS = re.compile(r'(?:\A|,)("[^"]*(?:""[^"]*)*"|[^",\r\n]*)')
_INTEGER = r"\A-?[0-9]{1,19}\z"
_DECIMAL = r"\A-?[0-9]{1,12}(?:\.[0-9]{1,6})?\z"
_MICRO_DIGITS = 6

_VERSION_BY_COUNT = {len(columns): version for version, columns in CSV_COLUMNS_BY_VERSION.items()}
_ALL_COLUMNS = tuple(
    dict.fromkeys(name for columns in CSV_COLUMNS_BY_VERSION.values() for name in columns)
)
_TYPED: dict[str, pl.DataType] = {
    "ts": pl.Int64(),
    "gdpr_applies": pl.Boolean(),
    "consent": pl.Boolean(),
}
_EXPECTED = {
    "ts": "an integer of 64 bits",
    "value": "a decimal with at most 12 digits before and 6 after the point",
    "gdpr_applies": "true, false or nothing",
    "consent": "true, false or nothing",
}

CSV_SCHEMA = pl.Schema(
    [
        ("row", pl.UInt32()),
        ("wire_version", pl.Int32()),
        *((name, _TYPED.get(name, pl.String())) for name in _ALL_COLUMNS if name != "value"),
        ("value_micros", pl.Int64()),
    ]
)


def decode_csv(
    values: pl.Series, versions: pl.Series | None, *, max_bytes: int = MAX_MESSAGE_BYTES
) -> DecodedBatch:
    r"""Decode one CSV line per message.

    Args:
        values: Binary series, one message a row; null is a tombstone. One trailing ``\n`` or
            ``\r\n`` is no part of the line.
        versions: Int32 series, the contract version that each message's header states; null (or
            no series) where it states none: then the number of columns tells.
        max_bytes: largest message, in bytes.

    Returns:
        ``frame`` of ``CSV_SCHEMA`` (an empty field is null; ``value`` became ``value_micros``) and
        the rejects; each input row is in exactly one of the two.
    """
    screened = screen_texts(values, max_bytes)
    rejects = screened.rejects
    stated = versions if versions is not None else pl.Series([None] * len(values), dtype=pl.Int32)
    lines = _measured(screened.texts, stated)
    refused = ~pl.col("well_formed") | (pl.col("text") == "") | pl.col("fault")
    rejects += [_refuse(*row) for row in lines.filter(refused).select(_REFUSAL).iter_rows()]
    parts = [
        _split(group, version)
        for (version,), group in lines.filter(~refused)
        .select("row", "text", "version", "has_break")
        .group_by("version", maintain_order=True)
    ]
    texts = pl.concat([_empty_texts(), *parts], how="diagonal").sort("row")
    frame, wrong_types = _typed(texts)
    return DecodedBatch(frame, rejects_frame(rejects + wrong_types))


_REFUSAL = ("row", "text", "well_formed", "count", "stated")


def _measured(texts: pl.DataFrame, stated: pl.Series) -> pl.DataFrame:
    """Each line's grammar verdict, number of columns and contract version.

    ``fault`` is true where number of columns and version do not fit together. A line that matches
    the pattern of its version has all that; what is wrong with the others is found out after.
    """
    text = pl.col("text")
    pending = texts.with_columns(
        pl.when(text.str.ends_with("\n"))
        .then(text.str.strip_suffix("\n").str.strip_suffix("\r"))
        .otherwise(text),
        stated=stated.cast(pl.Int32).gather(texts["row"]),
    ).with_columns(has_break=text.str.contains(r"[\r\n]"))
    parts = []
    for count, version in _VERSION_BY_COUNT.items():
        may_be = pl.col("stated").is_null() | (pl.col("stated") == version)
        fits = pending.filter(may_be).filter(text.str.contains(_line_of(count)))
        parts.append(
            fits.with_columns(
                well_formed=pl.lit(value=True),
                count=pl.lit(count, dtype=pl.Int32),
                version=pl.lit(version, dtype=pl.Int32),
                fault=pl.lit(value=False),
            )
        )
        pending = pending.filter(~pl.col("row").is_in(fits["row"].implode()))
    return pl.concat([*parts, _examined(pending)]).sort("row")


def _examined(lines: pl.DataFrame) -> pl.DataFrame:
    """The same of lines that match no version's pattern."""
    text = pl.col("text")
    # Commas inside quotes do not separate.
    bare = text.str.replace_all(_QUOTED, "")
    by_count = pl.col("count").replace_strict(
        list(_VERSION_BY_COUNT),
        list(_VERSION_BY_COUNT.values()),
        default=None,
        return_dtype=pl.Int32,
    )
    fault = by_count.is_null() | (pl.col("stated") != by_count).fill_null(value=False)
    return lines.with_columns(
        well_formed=text.str.contains(_LINE),
        count=bare.str.count_matches(",", literal=True).cast(pl.Int32) + 1,
    ).with_columns(version=pl.coalesce("stated", by_count), fault=fault)


@cache
def _line_of(columns: int) -> str:
    """The pattern of a line with so many fields."""
    return rf"\A(?:{_FIELD},){{{columns - 1}}}{_FIELD}\z"


def _refuse(row: int, text: str, well_formed: bool, count: int, stated: int | None) -> Reject:
    if not text:
        return Reject(row, ReasonCode.EMPTY_MESSAGE, "the line has nothing but its end")
    if not well_formed:
        reason = (
            "a quote is not closed, stands inside an unquoted field or is followed by text, "
            "or a line break is outside of quotes"
        )
        return Reject(row, ReasonCode.MALFORMED_CSV, reason)
    if stated is None:
        known = " or ".join(str(count) for count in sorted(_VERSION_BY_COUNT))
        reason = f"the line has {count} columns, a contract version has {known}"
    elif stated in CSV_COLUMNS_BY_VERSION:
        wanted = len(CSV_COLUMNS_BY_VERSION[stated])
        reason = f"the line has {count} columns, contract version {stated} has {wanted}"
    else:
        reason = f"the header states contract version {stated}, which is not known"
    return Reject(row, ReasonCode.WRONG_COLUMN_COUNT, reason)


def _empty_texts() -> pl.DataFrame:
    names = dict.fromkeys(_ALL_COLUMNS, pl.String)
    return pl.DataFrame(schema={"row": pl.UInt32, "wire_version": pl.Int32, **names})


def _split(group: pl.DataFrame, version: object) -> pl.DataFrame:
    """Lines of one contract version to one String column per CSV column."""
    if not isinstance(version, int):
        raise TypeError(f"a contract version is an integer, not {type(version).__name__}")
    columns = CSV_COLUMNS_BY_VERSION[version]
    plain = group.filter(~pl.col("has_break"))
    broken = group.filter(pl.col("has_break"))
    frames = []
    if plain.height:
        frames.append(
            pl.read_csv(
                "\n".join(plain["text"].to_list()).encode(),
                has_header=False,
                new_columns=list(columns),
                schema_overrides=[pl.String] * len(columns),
                infer_schema=False,
            ).with_columns(plain["row"])
        )
    if broken.height:
        frames.append(
            pl.DataFrame(
                list(map(_fields, broken["text"])),
                schema=dict.fromkeys(columns, pl.String),
                orient="row",
            ).with_columns(broken["row"])
        )
    split = pl.concat(frames)
    if split.height != group.height:
        raise RuntimeError(f"{group.height} well-formed CSV lines were read as {split.height} rows")
    return split.with_columns(
        pl.when(pl.col(columns) != "").then(pl.col(columns)),
        wire_version=pl.lit(version, dtype=pl.Int32),
    )


def _fields(line: str) -> list[str]:
    """The fields of one well-formed line."""
    return [
        field[1:-1].replace('""', '"') if field.startswith('"') else field
        for field in _FIELDS.findall(line)
    ]


def _typed(texts: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """Cast the columns that are not text; a value that does not fit rejects its row."""
    value, ts = pl.col("value"), pl.col("ts")
    decimal = pl.when(value.str.contains(_DECIMAL)).then(value)
    whole = decimal.str.extract(r"\A(-?[0-9]+)")
    fraction = decimal.str.extract(r"\.([0-9]+)\z").fill_null("")
    micros = pl.concat_str(whole, fraction.str.pad_end(_MICRO_DIGITS, "0")).cast(pl.Int64)
    cast = texts.with_columns(
        ts=pl.when(ts.str.contains(_INTEGER)).then(ts).cast(pl.Int64, strict=False),
        value_micros=micros,
        **{
            name: pl.col(name).replace_strict(
                ["true", "false"], [True, False], default=None, return_dtype=pl.Boolean
            )
            for name in ("gdpr_applies", "consent")
        },
    )
    targets = {
        "ts": "ts",
        "value": "value_micros",
        "gdpr_applies": "gdpr_applies",
        "consent": "consent",
    }
    wrong = {
        source: texts[source].is_not_null() & cast[target].is_null()
        for source, target in targets.items()
    }
    is_wrong = wrong["ts"] | wrong["value"] | wrong["gdpr_applies"] | wrong["consent"]
    rejects: list[Reject] = []
    for record in texts.with_row_index("at").filter(is_wrong).iter_rows(named=True):
        name = next(name for name, mask in wrong.items() if mask[record["at"]])
        reason = f"{name}: expected {_EXPECTED[name]}, got text of {len(record[name])} characters"
        rejects.append(
            Reject(record["row"], ReasonCode.WRONG_TYPE, reason, event_id=record["event_id"])
        )
    return cast.filter(~is_wrong).select(CSV_SCHEMA.names()), rejects
