"""What a run from elsewhere names is used only if it was used from here before, or is trusted."""

from pathlib import Path
from typing import Any

import pytest
from small_run import make_parts

from trimtab.cli import trust
from trimtab.core import folder
from trimtab.core.errors import ConfigError
from trimtab.core.plan import JudgePlan
from trimtab.core.spec import Component
from trimtab.runs.store.run import Run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folder, "_extensions", [])
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home"


@pytest.fixture
def extras(tmp_path: Path) -> Path:
    (tmp_path / "extras" / "judges").mkdir(parents=True)
    return tmp_path / "extras"


def make(tmp_path: Path, **config: Any) -> Run:
    parts = make_parts()
    return Run.create(tmp_path / "run", **{**parts, "config": {**parts["config"], **config}})


def test_extension_code_waits_for_trust_which_is_remembered(tmp_path: Path, extras: Path) -> None:
    run = make(tmp_path, extensions=[str(extras)])
    for admit in (trust.admit, trust.admit_code):
        with pytest.raises(ConfigError, match=r"never used from here: code .*extras.*--trust"):
            admit(run)
    assert folder.extension_dirs() == []
    trust.admit(run, trust=True)
    assert folder.extension_dirs() == [extras]
    folder._extensions.clear()
    trust.admit(run)
    assert folder.extension_dirs() == [extras]


def test_what_is_run_from_here_and_what_trimtab_path_names_is_trusted(
    tmp_path: Path, extras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, extensions=[str(extras)])
    monkeypatch.setenv("TRIMTAB_PATH", str(extras))
    trust.admit(run)
    monkeypatch.delenv("TRIMTAB_PATH")
    folder._extensions.clear()
    trust.remember(run.config, run.plan.cells, run.judges())
    trust.admit(run)


def test_a_key_is_sent_to_no_address_that_somebody_else_chose(tmp_path: Path) -> None:
    run = make(tmp_path)
    trust.admit(run)
    endpoint = {"base_url": "https://evil.example/v1", "model": "m", "price": "free"}
    config = {"rubric": "truth", "endpoint": endpoint}
    component = Component(name="rubric", config=config)
    run.add_judge(JudgePlan(key="rubric-1", component=component, output="text", metrics=()))
    with pytest.raises(ConfigError, match=r"evil\.example/v1 with the key in OPENAI_API_KEY"):
        trust.admit(run)
    trust.admit_code(run)  # a report asks nobody
    trust.remember(run.config, run.plan.cells, run.judges())
    trust.admit(run)


def test_code_that_comes_with_a_model_waits_as_well(tmp_path: Path) -> None:
    run = make(tmp_path)
    cell = run.plan.cells[0]
    model = cell.model.model_copy(update={"trust_remote_code": True})
    part = run.plan.fragments[0].model_copy(
        update={"cells": (cell.model_copy(update={"model": model}),)}
    )
    run.plan = run.plan.model_copy(update={"fragments": (part,)})
    with pytest.raises(ConfigError, match=r"code of model tiny"):
        trust.admit(run)


def test_a_home_that_cant_be_written_is_no_obstacle(tmp_path: Path, extras: Path) -> None:
    (tmp_path / "home").write_text("")
    run = make(tmp_path, extensions=[str(extras)])
    trust.remember(run.config, run.plan.cells, run.judges())
    trust.admit(run)
    (tmp_path / "cache" / "trusted").unlink()
    (tmp_path / "cache" / "trusted").mkdir()
    trust.admit(run, trust=True)


def test_a_judge_that_is_not_here_can_send_nothing_and_is_no_obstacle(tmp_path: Path) -> None:
    run = make(tmp_path)
    absent = JudgePlan(key="shout-1", component=Component(name="shout"), output="text", metrics=())
    run.add_judge(absent)
    trust.admit(run)
