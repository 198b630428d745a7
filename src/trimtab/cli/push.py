"""``push``: the adapter of a condition to the hub, with a page that says what it is."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from trimtab.cli import phases
from trimtab.cli.adapters import adapter_of_condition
from trimtab.cli.terminal import say
from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir
from trimtab.core.plan import Cell
from trimtab.core.trigger import Trigger
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.lora import write_adapter
from trimtab.models.push import push_folder, token
from trimtab.reports.data.rows import names_of_measures
from trimtab.reports.hub_card import Pushed, hub_card
from trimtab.runs.store.run import Run

_MOST_FIGURES = 12


def push(
    run_dir: Path,
    condition: str,
    repo: str,
    *,
    licence: str | None,
    public: bool,
    out: Path | None,
    model: str | None = None,
    trusted: bool,
) -> None:
    """Push the adapter of a condition, its page, the report's summary and figures.

    Args:
        run_dir: The run.
        condition: Whose adapter.
        repo: Its id on the hub: ``owner/name``.
        licence: As the hub names it: ``apache-2.0``.
        public: Whether a new repository is public.
        out: Write what would be pushed to this folder, and push nothing.
        model: Id of its base, where the run has several.
        trusted: See ``trust``.

    Raises:
        ConfigError: There is no such adapter, or no token.
        StoreError: ``out`` is not empty.
        ModelError: The hub refuses, or can't be reached.
    """
    if out is not None and out.exists() and any(out.iterdir()):
        raise StoreError(f"{out} is not empty.", hint="Name a folder that is not there yet.")
    if out is None:
        token()
    run = phases.open_to_read(run_dir, trusted=trusted)
    if out is not None:
        make_dir(out)
        _write(run, condition, model, repo, licence, out)
        say(f"Wrote what would be pushed to {repo} to {out}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(run, condition, model, repo, licence, folder)
        url = push_folder(folder, repo, f"Adapter of {condition!r}", private=not public)
    say(f"Pushed the adapter of {condition!r} to {url}")


def _write(
    run: Run, condition: str, model: str | None, repo: str, licence: str | None, folder: Path
) -> None:
    cell, adapter = adapter_of_condition(run, condition, model)
    write_adapter(adapter, folder, cell.model.id)
    summary = run.dir / "summary.json"
    figures = sorted((run.dir / "report" / "figures").glob("*.png"))[:_MOST_FIGURES]
    if summary.is_file():
        shutil.copyfile(summary, folder / "summary.json")
    if figures:
        make_dir(folder / "figures")
    for figure in figures:
        shutil.copyfile(figure, folder / "figures" / figure.name)
    info = run.artifact_info(cell.artifacts["adapter"]) or {}
    page = hub_card(
        Pushed(
            repo=repo,
            condition=condition,
            base=cell.model.id,
            revision=cell.model.revision,
            info=info,
            trigger=_trigger(run, cell),
            summary=json.loads(summary.read_text()) if summary.is_file() else None,
            measures=_measures(run, cell),
            licence=licence,
            figures=[figure.name for figure in figures],
        )
    )
    (folder / "README.md").write_text(page, encoding="utf-8")


def _measures(run: Run, cell: Cell) -> set[str]:
    """Return the names in reports of the measures that are of a cell's base."""
    names = names_of_measures(run.plan.cells)
    return {names[c.key] for c in run.plan.cells if c.model_identity == cell.model_identity}


def _trigger(run: Run, cell: Cell) -> Trigger | None:
    """Return the trigger behind which some condition asks the same adapter."""
    for other in run.plan.cells:
        if other.artifacts.get("adapter") == cell.artifacts["adapter"]:
            built = INTERVENTIONS.build(other.intervention.name, other.intervention.config)
            if built.trigger is not None:
                return built.trigger
    return None
