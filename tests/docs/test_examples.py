"""The examples of the documentation are loaded as a reader would load them, and run."""

import re
from pathlib import Path

import pytest
import yaml

from trimtab.core.errors import DataError
from trimtab.core.spec import Component
from trimtab.core.types import Completion, Sample
from trimtab.interventions.base import INTERVENTIONS
from trimtab.judges.base import JUDGES, Item, LoadContext
from trimtab.recipes.base import load_recipe
from trimtab.tasks.base import TASKS

_BLOCK = re.compile(r"^```python\n(# test:.*?)^```$", re.S | re.M)
PAGES = [
    page
    for page in sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    if _BLOCK.search(page.read_text())
]


def compare_yaml(repo: Path) -> dict:
    text = (repo / "docs" / "add-a-recipe.md").read_text()
    return yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.S)[1])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tiny random Llama."""
    from trimtab.models.tiny import save_tiny

    return save_tiny(tmp_path_factory.mktemp("model") / "tiny", "llama")


@pytest.fixture
def finished_run(repo: Path, beside_extras: Path, tiny: Path) -> Path:
    """Return ``runs/demo``, made from the page on recipes with a tiny model; made once."""
    run = beside_extras / "runs" / "demo"
    if not run.is_dir():
        from trimtab.cli.phases import run_all
        from trimtab.cli.planning import create

        data = compare_yaml(repo) | {"model": {"id": str(tiny), "device": "cpu"}}
        path = beside_extras / "sums.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        created = create(path, (), run)
        run_all(created)
    return run


def test_the_pages_show_complete_files(example_files: dict[str, str]) -> None:
    assert sorted(example_files) == [
        "interventions/principal.py",
        "judges/shout.py",
        "judges/usual.py",
        "recipes/choose.py",
        "recipes/compare.py",
        "sections/lengths.py",
        "tasks/sums.py",
    ]


@pytest.mark.usefixtures("beside_extras")
def test_task_example_has_disjoint_splits_and_right_answers() -> None:
    task = TASKS.build("sums", {"limit": 50})
    splits = {split: task.samples(split) for split in ("fit", "select", "test")}
    ids = [sample.id for samples in splits.values() for sample in samples]
    assert len(ids) == 150 == len(set(ids))
    for sample in splits["test"]:
        a, b = map(int, re.findall(r"\d+", sample.messages[0].content))
        assert sample.target == str(a + b) and a <= b
    assert [s.id for s in splits["test"]] == sorted(s.id for s in splits["test"])
    fewer = TASKS.build("sums", {"limit": 10}).samples("test")
    assert {s.id for s in fewer} <= {s.id for s in splits["test"]}
    assert {pair.id for pair in task.pairs("fit")} == {s.id for s in splits["fit"]}
    (gold,) = task.judges()
    judge, sample = JUDGES.build(gold.name, gold.config), splits["test"][0]
    items = [Item(sample, completion(sample, text)) for text in (sample.target, "0")]
    assert [verdict.values["exact"] for verdict in judge.verdicts(items, None)] == [1.0, 0.0]


def completion(sample: Sample, text: str | None) -> Completion:
    return Completion(
        cell="c",
        sample_id=sample.id,
        protocol="p",
        num_prompt_tokens=1,
        text=text,
        finish_reason="eos" if text is not None else "error",
    )


@pytest.mark.usefixtures("beside_extras")
def test_judge_example_scores_capitals_and_leaves_missing_unscored() -> None:
    judge = JUDGES.build("shout", {"min_letters": 3})
    sample = TASKS.build("sums", {}).samples("test")[0]

    def item(text: str | None) -> Item:
        return Item(sample, completion(sample, text))

    verdicts = judge.verdicts([item("ABcd 1!"), item("1"), item(None)], None)
    assert [v.values["shout"] for v in verdicts] == [0.5, None, None]
    assert [bool(v.error) for v in verdicts] == [False, False, True]


@pytest.mark.usefixtures("beside_extras")
def test_learning_judge_example_is_fitted_loaded_and_never_on_what_is_tested(
    tmp_path: Path,
) -> None:
    from trimtab.steering.fitted import FitContext, ScoredCompletion

    judge = JUDGES.build("usual", {})
    samples = TASKS.build("sums", {}).samples("fit")[:4]
    texts = [("one two three", 1.0), ("four five six seven eight", 1.0), ("no", 0.0), (None, None)]
    rows = [
        ScoredCompletion(sample, completion(sample, text), reward)
        for sample, (text, reward) in zip(samples, texts, strict=True)
    ]
    (need,) = judge.needs().values()
    assert need.component == Component(name="usual", config={"unit": "words"})
    fitted = judge.fit(FitContext(None, 0, completions={"fit": rows}))
    assert float(fitted.tensors["mean"]) == 4.0 and fitted.info["num"] == 2

    def context(*held_out: Sample) -> LoadContext:
        folders = {"length": tmp_path}
        return LoadContext(None, folders, lambda name: fitted, held_out=held_out)

    resource = judge.load(context(*TASKS.build("sums", {}).samples("test")[:2]))
    items = [Item(samples[0], completion(samples[0], text)) for text in ("a b", None)]
    values = [verdict.values["unusual"] for verdict in judge.verdicts(items, resource)]
    assert values == [2.0, None]
    with pytest.raises(DataError, match="to be tested on"):
        judge.load(context(samples[1]))
    with pytest.raises(DataError, match="there is none"):
        judge.fit(FitContext(None, 0, completions={"fit": rows[2:]}))


@pytest.mark.usefixtures("beside_extras")
def test_intervention_example_finds_the_principal_direction(tiny: Path) -> None:
    import numpy as np
    import torch

    from trimtab.core.spec import ModelSpec
    from trimtab.engine.engine import Engine
    from trimtab.models.load import load_model, resolve
    from trimtab.steering.fitted import FitContext, FitData

    layer = 1
    engine = Engine(load_model(resolve(ModelSpec(id=str(tiny), device="cpu"))))
    pairs = TASKS.build("sums", {"limit": 12}).pairs("fit")
    steer = INTERVENTIONS.build("principal", {"layer": layer, "strength": 0.5})
    context = FitContext.of_pairs(engine, pairs, "chat", 0)
    steer.check_input(context.data["pairs"])
    fitted = steer.fit(context)

    def mean(prompt: list[int], answer: list[int]) -> np.ndarray:
        ids = torch.tensor([[*prompt, *answer]])
        with torch.no_grad():
            hidden = engine.loaded.model(ids, output_hidden_states=True).hidden_states
        return hidden[layer + 1][0, len(prompt) :].double().mean(dim=0).numpy()

    rows = []
    for pair in pairs:
        prompt, (right, wrong) = engine.renderer.with_answers(
            pair.messages, [pair.positive, pair.negative], "chat"
        )
        rows.append(mean(prompt, right) - mean(prompt, wrong))
    expected = np.linalg.svd(np.stack(rows))[2][0]
    expected *= np.sign(np.mean(rows, axis=0) @ expected)
    direction = fitted.tensors[f"l{layer}.direction"].numpy()
    assert direction @ expected == pytest.approx(1, abs=1e-4)
    strengths = steer.strengths({"vector": fitted})
    assert strengths["relative"] == 0.5 and strengths["raw"] == pytest.approx(strengths["unit"])
    (edit,) = steer.treat({"vector": fitted}).edits
    assert edit.layer == layer and edit.strength == strengths["raw"]
    (need,) = steer.needs().values()
    stronger = INTERVENTIONS.build("principal", {"layer": layer, "strength": 2.0})
    assert stronger.needs() == {"vector": need}, "strengths share the fit"
    with pytest.raises(DataError, match="at least 2"):
        steer.check_input(FitData(pairs[:1], "fit", "chat"))


@pytest.mark.usefixtures("beside_extras")
def test_section_example_measures_how_long_answers_are(tmp_path: Path) -> None:
    from reported_run import build_run

    from trimtab.reports.data.run import RunData
    from trimtab.reports.sections.base import SECTIONS, View

    run = RunData(build_run(measures=("generation",), errors=0.0))
    section = SECTIONS.build("lengths", {"least": 2})
    view = View(section.read(run).rounded(), run)
    cell = next(c for c in run.plan.cells if c.condition == "caa +0.9")
    texts = [row.text for row in run.source.completions(cell.key).values()]
    mean = sum(map(len, texts)) / len(texts)
    assert view.content.means["caa +0.9"] == pytest.approx(mean)
    (table,) = section.tables(view)
    assert ("caa +0.9", f"{mean:.1f}") in table.texts
    (figure,) = section.figures(view)
    assert {path.suffix for path in figure.write(tmp_path)} == {".png", ".svg", ".csv"}
    longest = max(view.content.means.values())
    assert view.content.means[section.finding(view).text[:-1].partition("those of ")[2]] == longest
    assert SECTIONS.build("lengths", {"least": 1000}).read(run) is None


def test_examples_go_through_every_phase_together(finished_run: Path) -> None:
    from trimtab.runs.store.run import Run
    from trimtab.runs.work import checks

    run = Run.open(finished_run)
    assert [c.condition for c in run.plan.cells] == [
        "baseline",
        "terse",
        "nothing added",
        "towards right",
    ]
    assert len(run.plan.fits) == 1
    assert all(len(run.completions(cell.key)) == 20 for cell in run.plan.cells)
    status = {check.name: check.status for check in checks.read(run)}
    assert status["strength 0 equals baseline"] == "pass" == status["splits disjoint"]
    texts = [[c.text for c in run.completions(cell.key).values()] for cell in run.plan.cells]
    assert texts[0] == texts[2] and texts[0] != texts[1] and texts[0] != texts[3]


def test_every_file_of_a_run_is_described(finished_run: Path, repo: Path) -> None:
    page = (repo / "docs" / "run-directory.md").read_text()
    table = page.partition("|---|---|---|")[2].partition("\n\n")[0]
    first_column = "".join(line.split("|")[1] for line in table.splitlines() if line)
    told = re.findall(r"`([^`]+)`", first_column)
    patterns = [re.compile(re.sub(r"<\w+>", "[^/]+", re.escape(name))) for name in told]
    found = [str(p.relative_to(finished_run)) for p in finished_run.rglob("*") if p.is_file()]
    assert [name for name in found if not any(p.fullmatch(name) for p in patterns)] == []
    made = [n for n, p in zip(told, patterns, strict=True) if not any(map(p.fullmatch, found))]
    # this run has no bank, no network that steers, no judge that came later, costs money or learns,
    # no check of one, no search, no training examples, began without rows, ran on no other machine
    others = (
        "artifacts/<key>/activations.safetensors",
        "artifacts/<key>/training/",
        "judges.json",
        "spend.jsonl",
        ".spend.jsonl.lock",
        "judge_checks/<name>/",
        "artifacts/energy-",
        "completions/<cell>/a0000-given.jsonl",
        "conversations/",
        "report/<section>/",
        "slurm/",
        "ray/",
        "ssh/",
    )
    assert "judges.json" in made and all(name.startswith(others) for name in made)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(
    page: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finished_run == Path.cwd() / "runs" / "demo"
    for code in _BLOCK.findall(page.read_text()):
        exec(compile(code, page.name, "exec"), {})
    assert capsys.readouterr().out


def test_the_example_experiment_is_planned_as_its_page_says(
    repo: Path, beside_extras: Path
) -> None:
    path = beside_extras / "planned_sums.yaml"
    path.write_text(yaml.safe_dump(compare_yaml(repo), sort_keys=False))
    first, second = load_recipe(path).plan(), load_recipe(path).plan()
    assert first.plan == second.plan
    assert [cell.role for cell in first.plan.cells] == [
        "baseline",
        "treatment",
        "zero",
        "treatment",
    ]


def test_the_growing_example_opens_the_test_split_for_the_best_strength_alone(
    repo: Path, beside_extras: Path, tiny: Path, tmp_path: Path
) -> None:
    from trimtab.cli.phases import run_all
    from trimtab.cli.planning import create

    page = (repo / "docs" / "add-a-recipe.md").read_text()
    data = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, re.S)[1])
    assert data["recipe"] == "choose"
    data |= {"model": {"id": str(tiny), "device": "cpu"}, "strengths": [0.1, 4.0]}
    data["task"] |= {"limit": 4, "max_tokens": 3}
    path = beside_extras / "choose.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    run = create(path, (), tmp_path / "choose")
    run_all(run)
    first, grown = run.plan.fragments
    assert [cell.split for cell in first.cells] == ["select"] * 3
    assert [(cell.split, cell.role) for cell in grown.cells] == [
        ("test", "baseline"),
        ("test", "treatment"),
    ]
    assert grown.cells[1].condition in {"strength 0.1", "strength 4"}
    assert grown.reason == f"{grown.cells[1].condition} did best on the select split"
    for cell in run.plan.cells:
        (judge,) = run.plan.judges
        assert len(run.completions(cell.key)) == 4 == len(run.scores(judge.key, cell.key))
    assert len(run.plan.fits) == 1, "both strengths and the test cell share one fit"
