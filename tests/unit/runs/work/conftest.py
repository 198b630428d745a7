"""Judges and interventions that need no model and tell what they were asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from probe_judges import samples_of, write_members, write_texts

from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.spec import Component, ModelSpec
from trimtab.runs.plan.judges import LearnsFrom, plan_judges
from trimtab.runs.store.run import Run

Make = Callable[..., Run]


@pytest.fixture
def members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the judges where TRIMTAB_PATH says; return the folder that ``probe`` writes to."""
    folder = write_members(tmp_path / "members")
    monkeypatch.setenv("TRIMTAB_PATH", str(folder))
    return folder


@pytest.fixture
def subject() -> tuple[ModelSpec, str]:
    """A model that is nowhere: no judge here runs on one."""
    return ModelSpec(id="nowhere"), "m"


@pytest.fixture
def probe(members: Path, subject: tuple[ModelSpec, str]) -> Callable[[str], JudgePlan]:
    """Return a function that plans a probe by name."""

    def plan(name: str = "probe") -> JudgePlan:
        config = {"folder": str(members), "name": name}
        (judge,) = plan_judges(Component(name="probe", config=config), subject)
        return judge

    return plan


@pytest.fixture
def text_cell(parts: dict[str, Any]) -> Callable[..., Cell]:
    """Return a maker of cells of three samples with one completion each."""

    def make(key: str, **changes: Any) -> Cell:
        cell: Cell = parts["plan"].cells[0]
        task = Component(name="heldout", config={})
        fields = {"key": key, "condition": key, "samples": key, "num_samples": 1, "task": task}
        return cell.model_copy(update={**fields, **changes})

    return make


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a maker of runs in windows of two rows whose texts are there."""

    def make(name: str, *some: Cell, texts: str = "abc", **plan: Any) -> Run:
        cells = plan.pop("cells", some)
        planned = Plan.single(**{"recipe": "r", "name": "n", "window": 2, **plan}, cells=cells)
        data = {"samples": {cell.samples: samples_of(cell) for cell in cells}}
        run = Run.create(tmp_path / name, {"name": name}, planned, data)
        for cell in cells:
            write_texts(run, cell, *texts)
        return run

    return make


@pytest.fixture
def learned(
    members: Path, subject: tuple[ModelSpec, str], text_cell: Callable[..., Cell]
) -> Callable[..., dict[str, Any]]:
    """Return the parts of a plan with a judge that learns from the labels of its fit cell."""

    def parts(**config: Any) -> dict[str, Any]:
        cells = (text_cell("fit", split="fit"), text_cell("test"))
        (labels,) = plan_judges(Component(name="even", config=config), subject)
        fits: dict[str, Any] = {}
        (usual,) = plan_judges(
            Component(name="usual"),
            subject,
            learns_from=LearnsFrom([cells[0]], [], labels),
            fits=fits,
        )
        return {"cells": cells, "fits": tuple(fits.values()), "judges": (usual, labels)}

    return parts
