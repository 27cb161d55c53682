"""Logs of the processes that Dagster starts: code servers and runs.

Belongs here: bringing Dagster's own loggers to the format of the settings. Does not belong here:
the formats (``observability.logs``).

Dagster 1.13 reads handlers from ``dagster.yaml`` (``python_logs: dagster_handler_config``), but
that file knows nothing of ``ADX_LOGS__FORMAT``, its use is announced as beta by a warning in every
run, and each run's log manager sets logging up anew, closing whatever handlers there are. So the
code location does it. What stays in ``dagster.yaml`` is ``managed_python_loggers``: it keeps what
this package logs in a run with the run's events, where the UI shows it.

A managed record is seen twice, by the root handler and by the run's console logger. The root
handler writes it, because there it still has its logger's name and origin; a mark tells the console
logger to pass it over.
"""

from __future__ import annotations

import logging

import dagster as dg

from adx_platform.observability import masking
from adx_platform.observability.logs import WRITTEN, StderrHandler, configure, formatter
from adx_platform.settings import Settings

SERVICE = "adx-dagster"
PACKAGE = "adx_platform"


def configure_dagster_logs(settings: Settings) -> None:
    """Set the logging of a code server or a run up; called when the code location is loaded."""
    package = logging.getLogger(PACKAGE)
    package.setLevel(settings.logs.level)
    masker = masking.masker_for(settings)
    if settings.logs.format == "text":
        # Dagster's console logger writes our records, too.
        masking.install(masker)
        return
    configure(settings.logs, service=SERVICE, masker=masker)
    logging.setLoggerClass(_console_class(settings))
    for managed in (package, dg.get_dagster_logger()):
        if not any(isinstance(handler, _Mark) for handler in managed.handlers):
            managed.addHandler(_Mark())
    # A code server's own, coloured text; the root handler writes the same records.
    dagster = logging.getLogger("dagster")
    for handler in list(dagster.handlers):
        dagster.removeHandler(handler)


def _console_class(settings: Settings) -> type[logging.Logger]:
    """Loggers that write ECS documents where Dagster gives them a handler of coloured text.

    A run whose configuration names no logger gets one that is built in: other definitions of
    loggers are passed over (``create_context`` in Dagster 1.13). It is made by the process's logger
    class, which is the one place to reach it.
    """

    class Console(logging.Logger):
        def addHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802 - logging's name
            if not type(hdlr).__module__.startswith("coloredlogs"):
                super().addHandler(hdlr)
                return
            ours = StderrHandler()
            ours.setLevel(settings.logs.level)
            ours.setFormatter(formatter(settings.logs, service=SERVICE))
            ours.addFilter(lambda record: not hasattr(record, WRITTEN))
            super().addHandler(ours)

    return Console


class _Mark(logging.Handler):
    """Marks the records of our package before Dagster's handler sees them."""

    def emit(self, record: logging.LogRecord) -> None:
        setattr(record, WRITTEN, True)
