"""Log lines: text for people, or one ECS document a line for Elasticsearch and Splunk.

Belongs here: the two formats and the set-up of a process. Does not belong here: what is masked
(``masking``), the fields of the work at hand (``context``), or Dagster's own loggers
(``orchestration.run_logs``).

Our own fields are under ``adx.``, a name that ECS will never use; the run is ``trace.id``, so that
everything about one run is one trace. A record that was logged in a Dagster run carries Dagster's
metadata as a mapping; it is read as such, without Dagster.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TextIO

from ecs_logging import StdlibFormatter

from adx_platform.observability import masking
from adx_platform.observability.context import current_context
from adx_platform.settings import LogSettings, current_settings

TEXT_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"

WRITTEN: Final = "adx_written"
"""Attribute of records of our own loggers, which the root handler writes; see ``run_logs``."""

_META: Final = "dagster_meta"
_EVENT: Final = "dagster_event"
_NOT_FIELDS: Final = (
    "log.original",
    _META,
    _EVENT,
    "dagster_event_batch_metadata",
    WRITTEN,
)
_TAGS: Final = {
    "adx/stream": "stream",
    "adx/lane": "lane",
    "adx/incident": "incident",
    "adx/attempt": "attempt",
    "dagster/partition": "partition",
}
_NUMBERS: Final = frozenset({"lane", "attempt"})


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stderr`` is at that moment."""

    def __init__(self) -> None:
        # Not the base class's own: that would keep today's stream.
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """Standard error, as it is now."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("the stream is always standard error")


class TextFormatter(logging.Formatter):
    """One line for a person; Dagster's prefix of job, run and step is taken off again."""

    def __init__(self) -> None:
        super().__init__(TEXT_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """See the base class."""
        record.message = _message(record)
        return super().formatMessage(record)


class EcsFormatter(StdlibFormatter):
    """One ECS document a line."""

    def __init__(self, service: str) -> None:
        super().__init__(
            extra={
                "service.name": service,
                "service.version": _package_version(),
                "event.dataset": f"{service}.log",
            },
            exclude_fields=_NOT_FIELDS,
            ensure_ascii=False,
        )

    def format_to_ecs(self, record: logging.LogRecord) -> dict[str, Any]:
        """The document of one record."""
        document = super().format_to_ecs(record)
        document["message"] = _message(record)
        error = _error(record)
        if error:
            document["error"] = error
        fields = {**_dagster_fields(record), **current_context()}
        run_id = fields.pop("run_id", None)
        if run_id is not None:
            document["trace"] = {"id": run_id}
        if action := fields.pop("action", None):
            document["event"] = {**document.get("event", {}), "action": action}
        if fields:
            document["adx"] = {**document.get("adx", {}), **fields}
        if "adx" in document:
            document["adx"] = _masked(document["adx"])
        return document


def configure(
    logs: LogSettings,
    *,
    service: str,
    masker: masking.Masker | None = None,
    level: int | None = None,
) -> None:
    """Set this process's logging up, on standard error; a second call replaces the first.

    Args:
        logs: format and level.
        service: ``service.name`` of the documents, for example ``adx-ingest``.
        masker: what is masked; absent: the secrets and servers of this process's settings.
        level: instead of the settings' level.
    """
    masking.install(masking.masker_for(current_settings()) if masker is None else masker)
    handler = StderrHandler()
    handler.setFormatter(formatter(logs, service=service))
    wanted = logging.getLevelNamesMapping()[logs.level] if level is None else level
    # On the handler: Dagster's loggers have levels of their own, below the root's.
    handler.setLevel(wanted)
    root = logging.getLogger()
    _remove_handlers(root)
    root.addHandler(handler)
    # Dagster keeps what is logged in a run from INFO on, whatever the terminal shows.
    root.setLevel(min(logging.INFO, wanted))


def formatter(logs: LogSettings, *, service: str) -> logging.Formatter:
    """The formatter that ``logs`` asks for."""
    return EcsFormatter(service) if logs.format == "json" else TextFormatter()


def reset() -> None:
    """Undo :func:`configure`."""
    root = logging.getLogger()
    _remove_handlers(root)
    root.setLevel(logging.WARNING)
    masking.uninstall()


def _remove_handlers(root: logging.Logger) -> None:
    for handler in list(root.handlers):
        if isinstance(handler, StderrHandler):
            root.removeHandler(handler)
            handler.close()


def _message(record: logging.LogRecord) -> str:
    meta = getattr(record, _META, None)
    return str(meta["orig_message"]) if isinstance(meta, Mapping) else record.getMessage()


def _masked(value: object) -> object:
    """Masks what was given beside a message, which the record's own masking does not reach."""
    if isinstance(value, str):
        return masking.mask(value)
    if isinstance(value, Mapping):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value


def _error(record: logging.LogRecord) -> dict[str, str]:
    """ECS error fields of an exception, or of a failure that Dagster reports."""
    if record.exc_info and record.exc_info[0] is not None:
        kind, error, _ = record.exc_info
        return {
            "type": kind.__name__,
            "message": masking.mask(str(error)),
            # With its causes, and masked when the record was made.
            "stack_trace": record.exc_text or logging.Formatter().formatException(record.exc_info),
        }
    failure = getattr(
        getattr(getattr(record, _EVENT, None), "event_specific_data", None), "error", None
    )
    if failure is None:
        return {}
    return {
        "type": str(failure.cls_name),
        "message": masking.mask(str(failure.message).strip()),
        "stack_trace": masking.mask(str(failure.to_string())),
    }


def _dagster_fields(record: logging.LogRecord) -> dict[str, object]:
    meta = getattr(record, _META, None)
    if not isinstance(meta, Mapping):
        return {}
    found: dict[str, object | None] = {
        "run_id": meta["run_id"],
        "job": meta["job_name"],
        "step": meta["step_key"],
    }
    for tag, name in _TAGS.items():
        value = meta["job_tags"].get(tag)
        found[name] = int(value) if value and name in _NUMBERS and value.isdigit() else value
    event = getattr(record, _EVENT, None)
    if event is not None:
        found["action"] = str(event.event_type_value).lower()
        key = event.asset_key
        found["asset"] = None if key is None else "/".join(key.path)
    return {name: value for name, value in found.items() if value is not None}


def _package_version() -> str:
    try:
        return version("adx-platform")
    except PackageNotFoundError:
        # Run from a source tree that was not installed.
        return "unknown"
