"""Files of a search for other programs: the winner as an experiment, results, and the study."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from trimtab.core.lazy import lazy
from trimtab.core.plan import Cell
from trimtab.core.spec import Component
from trimtab.reports.data.run import RunData
from trimtab.reports.data.source import RunSource
from trimtab.reports.sections.base import File, View
from trimtab.reports.sections.search.content import Confirmed, SearchContent
from trimtab.reports.sections.search.finding import sentence
from trimtab.runs.solutions import own_pairs
from trimtab.search.sampling import has_optuna
from trimtab.search.table import tried_space
from trimtab.search.trials import params_of

if TYPE_CHECKING:
    from trimtab.search import study
else:
    study = lazy("trimtab.search.study")

WINNER = "winner"
"""Condition of the winner on the test split."""

_VERSION = 1
_PAIRS = "pairs.jsonl"


def search_files(view: View[SearchContent]) -> Iterator[File]:
    """Yield what there is: results, the winner if the test split was opened, and the study."""
    content, run = view.content, view.run
    yield File("results.json", _json(_results(content, run)), "What the search found, and how.")
    won = winning_cell(run.whole)
    if won is not None and content.winner is not None:
        text = _json(_configuration(content, run, won))
        about = "The winner as an experiment: `trimtab run --from` applies it elsewhere."
        yield File("best_configuration.json", text, about)
    if (pairs := _own_pairs(run.whole)) is not None:
        about = "The pairs of the model's own solutions that vectors were fitted on."
        yield File(_PAIRS, pairs, about)
    if has_optuna():
        found = study.read_study(run.whole)
        if found is not None:
            about = "The search as a journal of Optuna's: `optuna-dashboard study.log` opens it."
            yield File("study.log", study.journal(found), about)


def winning_cell(run: RunSource) -> Cell | None:
    """Return the winner's cell on the test split; None if that is not opened."""
    cells = (cell for cell in run.plan.cells if cell.purpose == "result")
    found = (cell for cell in cells if cell.condition == WINNER and cell.output == "text")
    return next(found, None)


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _results(content: SearchContent, run: RunData) -> dict[str, Any]:
    states = [trial.state for trial in content.trials]
    return {
        "version": _VERSION,
        "finding": sentence(content),
        "objective": content.objective,
        "winner": content.winner,
        "configuration": content.configuration,
        "confirmed": [_numbers(item) for item in content.confirmed],
        "optimism": content.optimism,
        "trials": {state: states.count(state) for state in dict.fromkeys(states)},
        **_origin(run),
    }


def _numbers(item: Confirmed) -> dict[str, Any]:
    keys = ("mean", "interval")
    return {
        "trial": item.number,
        "condition": item.condition,
        **{
            split: None if found is None else found.model_dump(mode="json", include=set(keys))
            for split, found in (
                ("select", item.select),
                ("confirm", item.confirm),
                ("test", item.test),
            )
        },
        **{
            f"change on {split}": None
            if change is None
            else {key: getattr(change, key) for key in ("difference", "interval", "p", "n")}
            for split, change in (("confirm", item.change), ("test", item.test_change))
        },
    }


def _origin(run: RunData) -> dict[str, Any]:
    """Return which run it was, with its seed, and by which code each of its phases was done."""
    return {
        "run": run.plan.name,
        "recipe": run.plan.recipe,
        "seed": run.plan.seed,
        "made_by": [
            {
                "phase": stage.phase,
                "attempts": list(stage.attempts),
                **{key: stage.state[key] for key in ("code", "packages") if key in stage.state},
            }
            for stage in run.making.stages
        ],
    }


def _configuration(content: SearchContent, run: RunData, won: Cell) -> dict[str, Any]:
    acts = _intervention(run.whole, content.winner)
    item = next(item for item in content.confirmed if item.number == content.winner)
    return {
        "version": _VERSION,
        "finding": sentence(content),
        "trial": content.winner,
        "intervention": acts.model_dump(mode="json"),
        "strength": run.whole.strengths.get(won.key),
        "fitted": won.artifacts,
        "fit_on": _fit_on(run.whole),
        "model": {**won.model.model_dump(mode="json"), "identity": won.model_identity},
        "task": won.task.model_dump(mode="json"),
        "rendering": won.rendering,
        "protocol": won.protocol,
        "sampling": None if won.sampling is None else won.sampling.model_dump(mode="json"),
        "results": _numbers(item),
        **_origin(run),
        "experiment": _experiment(run.whole, acts, won),
    }


def _intervention(run: RunSource, number: int | None) -> Component:
    """Return a trial's intervention without the blocks that its fit read for other trials."""
    tried = (c for c in run.plan.cells if "rung" in c.coordinates)
    params = next(params_of(c) for c in tried if c.coordinates["trial"] == number)
    return tried_space(run.config["space"], [params]).method(params).component(params)


def _conditions(acts: Component) -> dict[str, Any]:
    """Return the winner and, if it has a strength, the same at strength 0."""
    found = {WINNER: {"name": acts.name, **acts.config}}
    if isinstance(acts.config.get("strength"), int | float):
        found[f"{WINNER} +0"] = {**found[WINNER], "strength": 0.0}
    return found


def _own_pairs(run: RunSource) -> str | None:
    """Return the rows of a file of pairs; None where the task's own are fitted on.

    Those of a leaky search are of problems that nothing may be fitted on.
    """
    found = None if run.config["search"].get("leak") else own_pairs(run)
    if found is None:
        return None
    rows = (
        {"question": pair.question, "positive": pair.positive, "negative": pair.negative}
        for pair in found[0]
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows) or None


def _fit_on(run: RunSource) -> dict[str, Any]:
    """Return the task whose pairs the winner is fitted on, and which pairs if not its own."""
    config = run.config
    task, limit = config["fit_on"], None
    if task is None:
        task, limit = config["task"], config["limits"]["fit"]
    pairs = {} if _own_pairs(run) is None else {"pairs": {"source": _PAIRS}}
    limited = {} if limit is None else {"limit": limit}
    return {**task, "config": {**task["config"], **limited, **pairs}}


def _flat(component: Mapping[str, Any]) -> dict[str, Any]:
    """Return a component as files give it, so that its keys can be set by their names."""
    config = component["config"]
    return dict(component) if "name" in config else {"name": component["name"], **config}


def _experiment(run: RunSource, acts: Component, won: Cell) -> dict[str, Any]:
    """Return an experiment of the recipe ``steer`` with the winner as its one condition."""
    config = run.config
    model = config["model"] or config["models"][0]
    tested = [c for c in run.plan.cells if c.purpose == "result" and c.condition == WINNER]
    held = [cell.measure for cell in tested if cell.output == "options"]
    scored = {
        measure: [
            judge.component.model_dump(mode="json")
            for judge in run.judges()
            if judge.measures is not None and measure in judge.measures
        ]
        for measure in held
    }
    return {
        "recipe": "steer",
        "name": f"{run.plan.name}-winner",
        "model": {**model, "revision": won.model.revision},
        "headline": config.get("headline"),
        "tasks": {cell.measure: _flat(cell.task.model_dump(mode="json")) for cell in tested},
        "conditions": _conditions(acts),
        "fit_on": _flat(_fit_on(run)),
        "controls": {"prompt": config.get("prompt"), "random_draws": config.get("random_draws")},
        "judges": config.get("judges", []),
        "judges_of": {measure: judges for measure, judges in scored.items() if judges},
        "seed": run.plan.seed,
        "extensions": config.get("extensions", []),
    }
