"""`adx doctor` and `adx settings` as a person and a script see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adx_platform.cli import doctor as command
from adx_platform.pipeline.doctor.probing import Diagnosis, failed, ok, warning
from adx_platform.settings_reference import markdown


def says(monkeypatch: pytest.MonkeyPatch, *found: Diagnosis) -> None:
    monkeypatch.setattr(command, "diagnose", lambda *_, **__: list(found))


def test_warnings_are_no_failure(adx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, ok("lake", "all [red]fine[/]"), warning("disk", "nearly full", "free it"))
    done = adx("doctor")
    assert done.code == 0
    assert "all [red]fine[/]" in done.stdout
    assert "→ free it" in done.stdout
    assert "2 ok, 1 warning, 0 failed" in done.stdout


def test_a_failure_is_the_exit_code(adx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, failed("broker", "no answer", "start it"))
    done = adx("doctor", "--json")
    assert done.code == 1
    assert done.json[-1] == {
        "part": "broker",
        "verdict": "failed",
        "cause": "no answer",
        "remedy": "start it",
    }


def test_wrong_settings_are_a_failure_like_another(
    adx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADX_KAFKA__NOPE", "hush-hush")
    done = adx("doctor", "--json")
    assert done.code == 1
    (only,) = done.json
    assert only["cause"] == "ADX_KAFKA__NOPE: there is no such setting"
    assert "hush-hush" not in done.stdout + done.stderr


def test_an_empty_installation_is_told_what_it_lacks(
    adx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADX_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    done = adx("doctor", "--json")
    assert done.code == 1
    verdicts = {item["part"]: item["verdict"] for item in done.json}
    assert verdicts["settings"] == verdicts["python"] == verdicts["lake"] == "ok"
    assert verdicts["broker"] == verdicts["dbt manifest"] == "failed"
    assert verdicts["dagster"] == verdicts["published marts"] == "warning"
    assert all(item["remedy"] for item in done.json if item["verdict"] != "ok")


def test_what_was_changed(adx: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADX_KAFKA__SASL_PASSWORD", "hush-hush")
    monkeypatch.setenv("ADX_REGISTRY__URL", "http://me:hush-hush@registry.example")
    done = adx("settings", "--changed", "--json")
    found = {item["variable"]: (item["value"], item["source"]) for item in done.json}
    assert found == {
        "ADX_HOME": (str(home), "environment"),
        "ADX_KAFKA__SASL_PASSWORD": ("***", "environment"),
        "ADX_REGISTRY__URL": ("http://***@registry.example", "environment"),
    }
    shown = adx("settings")
    assert "ADX_KAFKA__LANES_PER_TOPIC" in shown.stdout
    assert "hush-hush" not in shown.stdout


def test_the_reference_is_printed_as_it_is(adx: Any) -> None:
    assert adx("settings", "--markdown").stdout == markdown()
    assert adx("settings", "--markdown", "--json").code == 2
