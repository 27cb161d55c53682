"""A run's own events and what is logged in it: each once, as ECS documents with the run's id."""

# No postponed annotations here: Dagster reads the type of `context` as an object.

import json
import logging
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from adx_platform.observability import logs
from adx_platform.orchestration.instance import ensure_instance
from adx_platform.orchestration.run_logs import PACKAGE, configure_dagster_logs
from adx_platform.settings import Settings, load_settings

SECRET = "hunter2-of-the-broker"


@pytest.fixture(autouse=True)
def _clean_logging() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", PACKAGE, "dagster", "dagster.builtin")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    logs.reset()
    logging.setLoggerClass(logging.Logger)
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers


def settings_for(settings: Settings, form: str) -> Settings:
    return load_settings(
        home=settings.home, logs={"format": form, "level": "DEBUG"}, kafka={"sasl_password": SECRET}
    )


def run(settings: Settings, *, fails: bool = False) -> str:
    @dg.op
    def work(context: dg.OpExecutionContext) -> None:
        logging.getLogger("adx_platform.pipeline.somewhere").info("by a module, %s", SECRET)
        context.log.info("by the context")
        if fails:
            raise ValueError(f"refused {SECRET}")

    @dg.job(tags={"adx/lane": "1"})
    def at_work() -> None:
        work()

    with ensure_instance(settings) as instance:
        done = at_work.execute_in_process(instance=instance, raise_on_error=False)
        kept = [entry.user_message for entry in instance.all_logs(done.run_id)]
        assert "by the context" in kept
        assert "by a module, ***" in kept
    return done.run_id


def test_json_has_everything_once(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    form = settings_for(settings, "json")
    configure_dagster_logs(form)
    run_id = run(form)
    said = capsys.readouterr().err
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    assert SECRET not in said
    (ours,) = [line for line in lines if line["message"] == "by a module, ***"]
    assert ours["trace"] == {"id": run_id}
    assert ours["log"]["logger"] == "adx_platform.pipeline.somewhere"
    assert ours["adx"] == {"job": "at_work", "step": "work", "lane": 1}
    (theirs,) = [line for line in lines if line["message"] == "by the context"]
    assert theirs["trace"] == {"id": run_id}
    actions = [line["event"].get("action") for line in lines]
    assert actions.count("pipeline_success") == 1
    assert actions.count("step_success") == 1
    assert {line["service"]["name"] for line in lines} == {"adx-dagster"}


def test_a_failure_has_its_error_without_the_secret(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    form = settings_for(settings, "json")
    configure_dagster_logs(form)
    run_id = run(form, fails=True)
    said = capsys.readouterr().err
    assert SECRET not in said
    lines = [json.loads(line) for line in said.splitlines()]
    (failure,) = [ln for ln in lines if ln["event"].get("action") == "step_failure"]
    assert "refused ***" in failure["error"]["stack_trace"]
    assert failure["trace"] == {"id": run_id}


def test_text_is_left_to_dagster_and_masked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    form = settings_for(settings, "text")
    configure_dagster_logs(form)
    run(form)
    said = capsys.readouterr().err
    assert said.count("by a module, ***") == 1
    assert SECRET not in said


def test_the_code_servers_own_text_goes(settings: Settings) -> None:
    own = logging.StreamHandler()
    logging.getLogger("dagster").addHandler(own)
    configure_dagster_logs(settings_for(settings, "json"))
    configure_dagster_logs(settings_for(settings, "json"))
    assert own not in logging.getLogger("dagster").handlers
    assert len(logging.getLogger(PACKAGE).handlers) == 1
