"""`adx rejects`: what was refused, why, and its raw bytes.

Belongs here: listing, showing, replaying. Does not belong here: finding them
(``pipeline.rejects``) or refining them again (``pipeline.replay``).
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict
from typing import Annotated

import typer

from adx_platform.cli.inputs import FromBrokerOption, known_streams, opened_platform
from adx_platform.cli.output import print_json, stdout, table
from adx_platform.contracts.dispositions import ReasonCode
from adx_platform.pipeline.hours import parse_hour
from adx_platform.pipeline.rejects import list_rejects, show_reject
from adx_platform.pipeline.replay import replay_rejects

_app = typer.Typer(
    help="Rejected records: list them, look at their raw bytes.", no_args_is_help=True
)
_PRINTABLE = range(0x20, 0x7F)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``, as the group `rejects`."""
    app.add_typer(_app, name="rejects")


@_app.command("ls")
def list_them(
    stream: Annotated[
        list[str] | None, typer.Option(help="Only this stream; may be repeated.")
    ] = None,
    reason: Annotated[ReasonCode | None, typer.Option(help="Only this reason code.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many per stream.")] = 20,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the newest rejected records, with their reasons and where their bytes are."""
    streams = known_streams(stream)
    platform = opened_platform()
    found = [
        reject
        for name in streams
        for reject in list_rejects(platform, name, reason=reason, limit=limit)
    ]
    if as_json:
        print_json([asdict(reject) for reject in found])
        return
    if not found:
        stdout.print("no rejected records")
        return
    heads = ("stream", "partition", "offset", "reason code", "reason")
    body = [[r.stream, str(r.partition), str(r.offset), r.reason_code, r.reason] for r in found]
    stdout.print(table("Rejected records", heads, body, text=range(len(heads))))
    first = found[0]
    stdout.print(f"raw bytes: adx rejects show {first.stream} {first.partition} {first.offset}")


@_app.command("show")
def show(
    stream: Annotated[str, typer.Argument(help="The stream.")],
    partition: Annotated[int, typer.Argument(min=0, help="Kafka partition.")],
    offset: Annotated[int, typer.Argument(min=0, help="Kafka offset.")],
    topic_id: Annotated[
        str | None, typer.Option(help="Which incarnation of a topic that was recreated.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show one rejected record: why it was refused, and its bytes as they came."""
    known_streams([stream])
    platform = opened_platform()
    shown = show_reject(platform, stream, partition, offset, topic_id=topic_id)
    if as_json:
        raw = shown.raw
        print_json(
            {
                **asdict(shown.reject),
                "raw": None
                if raw is None
                else {
                    "key_base64": _base64(raw.key),
                    "value_base64": _base64(raw.value),
                    "headers": [[name, _base64(value)] for name, value in raw.headers],
                },
            }
        )
        return
    for name, value in asdict(shown.reject).items():
        _line(name, "-" if value is None else str(value))
    if shown.raw is None:
        stdout.print("raw bytes are past the landing's retention (ADX_LAKE__RAW_RETENTION)")
        return
    for name, value in shown.raw.headers:
        _line("header", f"{name} = {value!r}")
    _line("key", "-" if shown.raw.key is None else repr(shown.raw.key))
    value = shown.raw.value
    _line("value", "null (a tombstone)" if value is None else f"{len(value):,} bytes")
    if value:
        stdout.print(_hex_dump(value), highlight=False, markup=False, soft_wrap=True)


@_app.command("replay")
def replay(
    stream: Annotated[str, typer.Option(help="The stream.")],
    reason: Annotated[
        ReasonCode | None, typer.Option(help="Only rejects of this reason code.")
    ] = None,
    from_time: Annotated[
        str | None, typer.Option("--from", help="Only messages since: 2026-03-02T10, UTC.")
    ] = None,
    to_time: Annotated[str | None, typer.Option("--to", help="Only messages before.")] = None,
    *,
    from_broker: FromBrokerOption = False,
    as_json: JsonOption = False,
) -> None:
    """Refine rejected records again, after a fix, and say what came of them.

    The warehouse applies the change at its next load, the marts at their next build.
    """
    known_streams([stream])
    report = replay_rejects(
        opened_platform(),
        stream,
        reasons=[reason] if reason is not None else [],
        start=None if from_time is None else parse_hour(from_time),
        end=None if to_time is None else parse_hour(to_time),
        from_broker=from_broker,
    )
    if as_json:
        print_json({**asdict(report), "mended": report.mended})
        return
    stdout.print(report.explain(), markup=False, highlight=False, soft_wrap=True)
    names = dict.fromkeys([*report.before, *report.after])
    body = [(name, report.before.get(name, 0), report.after.get(name, 0)) for name in names]
    if body:
        stdout.print(table("Replayed", ("outcome", "before", "now"), body))


def _line(name: str, value: str) -> None:
    stdout.print(f"{name:>16}  {value}", highlight=False, markup=False, soft_wrap=True)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode("ascii")


def _hex_dump(value: bytes, limit: int = 2_048) -> str:
    """Sixteen bytes a line, in hexadecimal and as text; narrow enough for 80 columns."""
    lines = []
    for start in range(0, min(len(value), limit), 16):
        part = value[start : start + 16]
        text = "".join(chr(b) if b in _PRINTABLE else "." for b in part)
        lines.append(f"{start:>8x}  {part.hex(' '):<47}  {text}")
    if len(value) > limit:
        lines.append(f"{'':>8}  ... (--json has all of it)")
    return "\n".join(lines)
