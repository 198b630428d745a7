"""What a run's energy models were fitted on, how far they came, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.core.spec import JudgePlan
from trimtab.reports.data.source import RunSource
from trimtab.reports.draw.format import DASH, number
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.selection.candidates import judge_name


def summarise_rerankers(run: RunSource) -> list[dict[str, Any]]:
    """Return one entry per fit that is there: counts, pair accuracies and training curves."""
    fitted = [judge for judge in run.judges() if judge.fit is not None]
    found = []
    for key in dict.fromkeys(judge.fit.key for judge in fitted if judge.fit is not None):
        info = run.artifact_info(key)
        if info is not None:
            judge = next(j for j in fitted if j.fit is not None and j.fit.key == key)
            found.append(_entry(key, _called(judge, fitted), info))
    return found


def _called(judge: JudgePlan, fitted: Sequence[JudgePlan]) -> str:
    """Return the name that the judge's ranking has in the other tables."""
    metric = judge.metrics[0].name
    return judge_name(metric, judge, [j for j in fitted if j.metrics[0].name == metric])


def _entry(key: str, name: str, info: Mapping[str, Any]) -> dict[str, Any]:
    kept = (
        "kind", "parameters", "fit", "select", "updates", "best_update", "ended_by", "layer",
        "layers", "untrained_pair_accuracy", "select_pair_accuracy", "fit_pair_accuracy",
        "samples_pair_accuracy", "mining", "history",
    )  # fmt: skip
    return {"ranking": name, "key": key, **{name: info[name] for name in kept if name in info}}


def reranker_table(summary: dict[str, Any]) -> Table:
    """Return what each reranker was fitted on and how well it orders pairs."""
    rows = tuple(
        (
            found["ranking"],
            str(found["parameters"]),
            str(found["fit"]["problems"]),
            f"{found['fit']['dropped_all_right']} + {found['fit']['dropped_all_wrong']}",
            f"{found['best_update']} of {found['updates']}",
            _accuracy(found["untrained_pair_accuracy"]),
            _accuracy(found["fit_pair_accuracy"]),
            _accuracy(found["select_pair_accuracy"]),
            _accuracy(found["samples_pair_accuracy"]),
            _notes(found),
        )
        for found in summary["rerankers"]
    )
    columns = ("reranker", "parameters", "fit problems", "dropped", "best update", "untrained")
    more = ("fit pairs", "select pairs", "select samples", "notes")
    note = (
        "Pairs: share of (right, wrong) candidates of one problem that are ordered right; 0.5 is "
        "chance. Training stopped by the select pairs, so these flatter it. Dropped: problems "
        "whose candidates are all right, and all wrong. Select samples: for a reranker trained on "
        "synthetic candidates, its pairs on sampled ones."
    )
    return Table("rerankers", "Rerankers", columns + more, rows, note)


def _accuracy(value: float | None) -> str:
    return DASH if value is None else number(value, percent=False)


def _notes(found: Mapping[str, Any]) -> str:
    said = []
    if "layers" in found:
        tried = ", ".join(f"{n}: {_accuracy(v)}" for n, v in found["layers"].items())
        said.append(f"block {found['layer']} of {{{tried}}}")
    if found["fit"]["overlapping"]:
        said.append(f"{found['fit']['overlapping']} overlapping problems dropped")
    if found["fit"].get("pairs_cut"):
        said.append(f"{found['fit']['pairs_cut']} pairs cut")
    if "mining" in found:
        said.append(f"mined round {'kept' if found['mining']['kept'] else 'not kept'}")
    return "; ".join(said)
