"""What a plan says that it will take."""

import re
from pathlib import Path

import yaml

from trimtab.cli.estimates import estimates
from trimtab.core.types import Conversation, Message, Sample
from trimtab.models.tiny import save_tiny
from trimtab.recipes.base import load_recipe
from trimtab.training.reinforce.config import CohortTraining
from trimtab.training.sft.config import AdapterTraining


def test_a_plan_counts_the_updates_and_tokens_of_its_trainings(repo: Path) -> None:
    planned = load_recipe(repo / "configs" / "wireheading" / "laptop.yaml").plan()
    lines = {line.partition(":")[0]: line for line in estimates(planned)}
    cohorts = [fit.component.config["reinforce"] for fit in planned.plan.fits]
    runs = [CohortTraining.model_validate(cohort).settings() for cohort in cohorts]
    updates = sum(run.rounds for some in runs for run in some.values())
    assert f"at most {updates} updates in 2 fits" in lines["train"]
    if "time" in lines:  # no time is told of a GPU
        assert "without training" not in lines["time"]


def test_every_model_has_a_line_and_counts_what_it_reads(repo: Path, tmp_path: Path) -> None:
    models = [save_tiny(tmp_path / f"m{n}", "gpt_neox", num_layers=n) for n in (1, 2)]
    given = [{"id": str(path), "device": "cpu"} for path in models]
    path = tmp_path / "two.yaml"
    smoke = (repo / "configs" / "wireheading" / "smoke.yaml").read_text()
    config = {**yaml.safe_load(smoke), "models": given}
    del config["model"]
    path.write_text(yaml.safe_dump(config))
    planned = load_recipe(path).plan()
    named = [line for line in estimates(planned) if line.startswith("model: ")]
    assert [str(model) in line for model, line in zip(models, named, strict=True)] == [True, True]


def test_a_judge_that_learns_is_said_not_to_be_counted(repo: Path) -> None:
    planned = load_recipe(repo / "configs" / "gsm8k_best_of_n" / "smoke.yaml").plan()
    lines = {line.partition(":")[0]: line for line in estimates(planned)}
    assert "train" not in lines
    if "time" in lines:
        assert re.search(r"without training of \d+ fits?", lines["time"])


def test_tokens_of_a_training_are_those_of_its_rows_times_its_passes() -> None:
    rows = [
        Conversation(
            id=f"c{n}",
            messages=(
                Message(role="user", content="a" * 40),
                Message(role="assistant", content="b" * 40),
            ),
        )
        for n in range(10)
    ]  # fmt: skip
    work = AdapterTraining(epochs=2, batch=4).workload(rows)
    assert (work.updates, work.learned, work.read) == (6, 400.0, 0.0)
    assert AdapterTraining(epochs=2, batch=4, recompute=True).workload(rows).read == 400.0
    assert AdapterTraining(epochs=2, batch=4, max_tokens=5).workload(rows).learned == 100.0


def test_a_cohort_takes_rounds_times_runs_and_looks_at_what_is_held_out() -> None:
    asked = [Sample(id="s", messages=(Message(role="user", content="a" * 40),))]
    common = {"rounds": 8, "samples": 2, "answer_tokens": 5, "grade_tokens": 1, "keep_every": 4,
              "grade_request": "b" * 16}  # fmt: skip
    cohort = CohortTraining.model_validate({"common": common, "replicas": 2})
    work = cohort.workload(asked, asked * 3)
    episode = 10 + 4 + 5 + 1
    assert work.updates == 6 * 8 and work.learned == 6 * 8 * 2 * episode
    looks = (6 * 2 + 2) * 2 * 3  # runs of one seed are looked at once before they begin
    assert work.written == (6 * 8 * 2 + looks) * (5 + 1)
    assert work.read + work.written == 2 * work.learned + looks * episode
