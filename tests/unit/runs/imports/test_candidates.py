"""Runs that begin with rows: imported ones, and those that extend another run."""

import json
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import ConfigError
from trimtab.core.plan import Plan
from trimtab.core.spec import Component
from trimtab.core.types import Completion
from trimtab.reports.draw.values import write_cell
from trimtab.reports.page.report import read_report, summarise, to_json
from trimtab.runs.imports.candidates import import_candidates
from trimtab.runs.plan.judges import plan_judges
from trimtab.runs.plan.reuse import take_over
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Silent
from trimtab.runs.work import checks
from trimtab.runs.work.phases import Job, run_phases
from trimtab.runs.work.units import windows


def judges(score: str | None) -> list[Component]:
    """Return what scores imported candidates, as the command line does."""
    recorded = Component(name="recorded", config={"score": score})
    return [recorded, Component(name="number")]


def row(cell: str, sample: str, index: int) -> Completion:
    return Completion(
        cell=cell, sample_id=sample, index=index, protocol="p", num_prompt_tokens=1,
        text=f"{sample} {index}", finish_reason="eos",
    )  # fmt: skip


@pytest.fixture
def small(tmp_path: Path, parts: dict[str, Any]) -> Run:
    """Return a run whose first cell lacks the index 1 of one sample."""
    run = Run.create(tmp_path / "small", **parts)
    with run.completion_writer(1, "cell-1") as writer:
        writer.append([row("cell-1", s, i) for i in (0, 1) for s in "abc" if (s, i) != ("b", 1)])
    return run


def test_a_larger_run_takes_over_whole_indices_and_generates_the_rest(
    small: Run, parts: dict[str, Any], tmp_path: Path
) -> None:
    more = parts["plan"].cells[0].model_copy(update={"num_samples": 4})
    plan, rows = take_over(Plan.single(recipe="r", name="n", cells=[more]), small)
    assert plan.cells[0].reused == 1
    assert [r.key for r in rows["cell-1"]] == [("cell-1", s, 0) for s in "abc"]
    large = Run.create(tmp_path / "large", **{**parts, "plan": plan}, completions=rows)
    assert large.completions("cell-1") == {
        key: value for key, value in small.completions("cell-1").items() if key[2] == 0
    }
    (fragment,) = large.plan.fragments
    cut = [key for unit in windows(large, fragment) for key in unit.rows]
    assert cut == [("cell-1", s, i) for s in "bac" for i in (1, 2, 3)]
    assert len(large.owed(large.plan.cells[0])) == 9


def test_rows_of_another_experiment_are_refused(small: Run, parts: dict[str, Any]) -> None:
    other = parts["plan"].cells[0].model_copy(update={"key": "cell-9"})
    with pytest.raises(ConfigError, match="belongs to this experiment"):
        take_over(Plan.single(recipe="r", name="n", cells=[other]), small)


@pytest.fixture(scope="module")
def imported(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the published dump as a scored run, which nobody changes."""
    file = shared_data / "gsm8k_solutions" / "bestof5_gemma_dev.jsonl"
    run = import_candidates(file, tmp_path_factory.mktemp("published") / "imported", judges)
    run_phases([Job(run, 1, Silent())], ("score",))
    return run


def test_the_published_best_of_five(imported: Run) -> None:
    report = read_report(imported)
    summary = report.summary()
    made, *parts = summary["sections"]["selection"]["sets"]
    right = {r["selector"]: round(r["right"], 2) for r in made["selectors"]}
    assert (made["problems"], made["candidates"], made["mixed"]) == (300, 5, 107)
    assert right["first"] == 129 and right["oracle"] == 182 and right["lowest energy"] == 124
    assert right["majority, ties to first"] == 145 and right["majority"] == 144.57
    assert right["random"] == pytest.approx(634 / 5)
    by_name = {r["selector"]: r for r in made["selectors"]}
    assert by_name["lowest energy"]["vs_majority"]["test"] == "10000 random sign flips of clusters"
    assert by_name["oracle"]["gap"]["mean"] == 1
    energy = made["rankings"][0]
    assert energy["pooled_auc"] == pytest.approx(0.516, abs=5e-4)
    assert energy["within_auc"] == pytest.approx(0.485, abs=5e-4)
    low, high = energy["within_interval"]
    assert low < 0.485 < high
    # the file was made with two prompts; both parts are told beside the whole
    assert [p["problems"] for p in parts] == [134, 166]
    for name in ("first", "random", "lowest energy", "oracle"):
        found = [{r["selector"]: r["right"] for r in p["selectors"]}[name] for p in parts]
        assert sum(found) == pytest.approx(right[name]), name
    assert [p["condition"] for p in parts] == [
        "candidates, lines before 135", "candidates, lines from 135 on",
    ]  # fmt: skip
    screen = report.headline()
    # damage: the share of answers that can be read in two ways, which are none
    assert [t.name for t in screen] == [
        *(f"generation_{n}" for n in ("selectors", "rankings", "effects")),
        "damage",
    ]
    assert [row[1] for row in screen[0].texts if row[0] == "oracle"] == ["182 / 300"]
    card = report.cards()[2]
    assert (card.name, write_cell(card.value).text) == ("lowest energy %", "41.3 [35.9, 47.0]")
    # only problems with both are centred: the others have nothing to choose
    counts = {n: sum(h["right"] + h["wrong"]) for n, h in energy["histograms"].items()}
    assert counts == {"pooled": 1500, "problem-centred": 107 * 5}
    oracle = [p["mean"] for p in made["curves"]["oracle"]]
    assert oracle == sorted(oracle) and oracle[-1] == pytest.approx(182 / 300)
    assert "does not differ significantly" not in summary["finding"]
    assert "is worse than majority" in summary["finding"]
    # equal records give equal bytes
    assert to_json(summary) == to_json(summarise(imported))


def test_what_is_wrong_with_a_file_is_shown_first(imported: Run) -> None:
    found = checks.read(imported)
    assert (found[0].name, found[0].status) == ("looks like two configurations", "warn")


def test_a_judge_of_imported_candidates_must_name_its_model(imported: Run) -> None:
    cell = imported.plan.cells[0]
    with pytest.raises(ConfigError, match="names no model"):
        plan_judges(
            Component(name="energy", config={"kind": "uncertainty"}),
            (cell.model, cell.model_identity),
        )


def test_configurations_become_conditions(tmp_path: Path) -> None:
    def line(number: int, temperature: float, right: bool) -> str:
        text = f"Anna has {number if right else 0} pears"
        given = [{"text": text, "answer": str(number), "correct": right}] * 2
        return json.dumps(
            {
                "question": f"How many of {number} pears has Anna?",
                "gold": str(number),
                "temperature": temperature,
                "candidates": given,
            }
        )

    lines = [line(i, t, t < 1) for t in (0.5, 1.5) for i in range(1, 9)]
    file = tmp_path / "mixed.jsonl"
    file.write_text("\n".join(lines))
    run = import_candidates(file, tmp_path / "run", judges)
    run_phases([Job(run, 1, Silent())], ("score",))
    sets = summarise(run)["sections"]["selection"]["sets"]
    assert [(s["problems"], s["selectors"][0]["mean"]) for s in sets] == [(8, 1.0), (8, 0.0)]
    assert len({s["condition"] for s in sets}) == 2
