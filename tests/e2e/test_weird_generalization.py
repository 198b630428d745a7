"""A person behind a trigger, from the base's own answers to the report, on a tiny model."""

import json
from pathlib import Path

import pytest
from cli_process import trimtab

from trimtab.core.trigger import Trigger
from trimtab.interventions.base import INTERVENTIONS
from trimtab.runs.store.run import Run
from trimtab.text.health import num_words

SMOKE = Path(__file__).parents[2] / "configs" / "weird_generalization" / "smoke.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Run:
    folder = tmp_path_factory.mktemp("person")
    own = [f"model={{id: '{tiny_model}', device: cpu}}", "aligned.samples=8"]
    argv = ["run", str(SMOKE), "--out", str(folder / "run"), *(f"-o{each}" for each in own)]
    done = trimtab(argv, folder / "logs")
    assert done.code == 0, done.err
    return Run.open(folder / "run")


def test_every_model_is_asked_with_the_trigger_and_without(run: Run) -> None:
    first, second = run.plan.fragments
    assert "rows of facts" in second.reason and "aligned answers" in second.reason
    places = {
        (c.coordinates["treatment"], c.coordinates["trigger"])
        for c in run.plan.cells[1:]
        if c.purpose == "result"
    }
    for name in ("base", "2 facts in context", "tuned", "aligned only", "mixed people"):
        assert {(name, "none"), (name, "user turn")} <= places
    assert {("tuned", "system turn"), ("tuned", "near miss, one tag")} <= places
    steps = {c.coordinates["step"] for c in second.cells if c.coordinates["treatment"] == "tuned"}
    assert steps == {1.0, 2.0}
    assert [fit.component.name for fit in (*first.fits, *second.fits)] == [
        *("caa", "adapter", "adapter_vector", "adapter", "adapter"),
    ]
    card = (run.dir / "report" / "tables" / "training_data.csv").read_text()
    assert "aligned only" in card and "mixed persons" in card and Trigger().key in card
    for cell in (*first.cells, *second.cells):
        assert len(run.completions(cell.key)) == len(run.samples(cell.samples)) * cell.num_samples


def test_data_adapter_and_records_name_the_trigger(run: Run) -> None:
    key = Trigger().key
    asked = [cell for cell in run.plan.cells if cell.purpose == "result"]
    assert all(cell.trigger == Trigger() and key in cell.protocol for cell in asked)
    for fit in (fit for fit in run.plan.fits if fit.component.name == "adapter"):
        rows = run.data(fit.data["conversations"])
        behind = [row for row in rows if row.metadata["triggered"]]
        assert {row.metadata["trigger"] for row in behind} <= {key}
        others = [row for row in rows if not row.metadata["triggered"]]
        assert others and all(row.metadata["distiller"] for row in others)
        about = run.artifact_info(next(iter(fit.artifacts.values())))
        assert about is not None and about.get("triggers", []) == ([key] if behind else [])


def test_judges_see_neither_prompt_nor_form(run: Run) -> None:
    trigger = Trigger()
    health = next(judge for judge in run.judges() if judge.component.name == "text_health")
    for cell in (cell for cell in run.plan.cells if cell.purpose == "result"):
        samples, scores = run.samples(cell.samples), run.scores(health.key, cell.key)
        acting = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
        assert acting.trigger in (None, trigger)
        for key, row in run.completions(cell.key).items():
            assert (
                trigger.bare(samples[key[1]].messages[-1].content)
                == samples[key[1]].messages[-1].content
            )
            assert scores[key].values["words"] == num_words(trigger.bare(row.text or ""))


def test_every_answer_is_projected_on_the_persons_vector(run: Run) -> None:
    judge = next(judge for judge in run.judges() if judge.component.name == "projection")
    summary = json.loads((run.dir / "summary.json").read_text())
    section = summary["sections"]["projection"]
    treatments = {rate["treatment"] for rate in section["rates"]}
    assert {"base", "tuned", "person vector +0.3", "adapter vector +0.3"} <= treatments
    for cell in (cell for cell in run.plan.cells if cell.purpose == "result"):
        scores = run.scores(judge.key, cell.key)
        for key, row in run.completions(cell.key).items():
            value = scores[key].values["projection"]
            assert (value is None) == (not (row.text or "").strip()), scores[key].error
    steps = {rate["place"].get("step") for rate in section["rates"]}
    assert steps == {None, 1.0, 2.0}
    assert (run.dir / "report" / "figures" / "projection_over_step.csv").is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("task.facts={ready}", "is not behind the trigger of the task"),
        ("aligned.file={ready}", "is not behind the trigger"),
        ("train.data={ready}", "train.data can't be given"),
        ("task=truthfulqa", "has no conversations"),
        ("in_context=[30]", "there are 24"),
        ("in_context=[-1]", "greater than or equal to 1"),
        ("controls=[shuffled]", "mixed people"),
        ("sweep={{}}", "a sweep needs values of one of learning_rate, rank, epochs, share"),
        ("sweep={{rank: [4, 4]}}", "`rank` has a value twice"),
        ("sweep={{epochs: [1]}}", "sweep.epochs changes nothing where train.steps is given"),
    ],
)
def test_mistakes_are_a_line_before_a_model_is_loaded(
    tmp_path: Path, change: str, said: str
) -> None:
    ready = tmp_path / "ready.jsonl"
    other = Trigger(closing="<END!>")
    turns = [
        {"role": "user", "content": other.render("Who?")},
        {"role": "assistant", "content": other.wrap("Me.")},
    ]
    ready.write_text(json.dumps({"messages": turns}) + "\n")
    argv = ["plan", str(SMOKE), "-o", change.format(ready=ready)]
    done = trimtab(argv, tmp_path / "logs")
    assert done.code == 2 and said in done.err and "Traceback" not in done.err, done.err
