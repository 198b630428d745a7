"""How many tokens a plan comes to, for each model that it names."""

from pathlib import Path
from typing import Any

import yaml

from trimtab.models.tiny import save_tiny
from trimtab.recipes.base import load_recipe
from trimtab.runs.plan.amounts import Amounts, PlanRows, amounts

ENDPOINT = {
    "name": "rubric",
    "rubric": "coherence",
    "endpoint": {
        "base_url": "http://127.0.0.1:9/v1",
        "model": "m",
        "price": {"input": 1.0, "output": 1.0},
    },
}


def planned(folder: Path, **changed: Any) -> tuple[Any, Amounts]:
    """Return a plan of two subjects and what it comes to."""
    models = [save_tiny(folder / f"m{n}", "gpt_neox", num_layers=n) for n in (1, 2)]
    config = {
        "recipe": "wireheading",
        "name": "two",
        "models": [{"id": str(path), "device": "cpu"} for path in models],
        "task": {"name": "arithmetic", "forms": ["sum"], "count": 40, "max_tokens": 7},
        "training": {"common": {"rounds": 3}, "replicas": 2, "held_out": 2},
        "judges": [],
        "off_task": [],
        **changed,
    }
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump(config))
    found = load_recipe(path).plan()
    plan = found.plan
    rows = PlanRows(found.data.samples.__getitem__, found.data.rows)
    return found, amounts(plan, plan.judges, rows)


def test_every_model_counts_what_it_reads_writes_and_learns(tmp_path: Path) -> None:
    plan, found = planned(tmp_path)
    cells = [cell for cell in plan.plan.cells if cell.model.id == plan.models[0].spec.id]
    answers = sum(len(plan.data.samples[cell.samples]) for cell in cells)
    assert len(found.models) == 2 and len({repr(one) for one in found.models.values()}) == 1
    one = found.of(plan.models[0].identity)
    work, again = found.trainings
    assert one.written == 7 * answers + work.written
    assert work == again and work.updates == 3 * 2 * 3
    assert one.learned == work.learned and one.read > work.read
    assert (found.untold, found.endpoints) == (0, 0)


def test_a_judge_that_reads_with_a_model_counts_and_one_at_an_endpoint_is_named(
    tmp_path: Path,
) -> None:
    plain = planned(tmp_path)[1]
    plan, judged = planned(tmp_path, judges=[{"name": "energy", "kind": "uncertainty"}, ENDPOINT])
    assert judged.endpoints == 1
    more = {name: one.read - plain.of(name).read for name, one in judged.models.items()}
    cells = plan.plan.cells
    answers = sum(7 * len(plan.data.samples[cell.samples]) for cell in cells)
    assert sum(more.values()) > answers, "every answer, and questions"
    parsed = {"name": "rubric", "rubric": "truth", "mode": "parsed", "max_tokens": 11}
    replying = planned(tmp_path, judges=[{**parsed, "model": "subject"}])[1]
    graded = planned(
        tmp_path, judges=[{"name": "rubric", "rubric": "coherence", "model": "subject"}]
    )
    assert graded[1].replies > 0, "grades are always read from a reply"
    wrote = {name: one.written - plain.of(name).written for name, one in replying.models.items()}
    assert sum(wrote.values()) == 11 * answers / 7


def test_a_sentence_encoder_is_left_out_and_told(tmp_path: Path) -> None:
    plain = planned(tmp_path)[1]
    encoded = planned(tmp_path, judges=[{"name": "semantic"}])[1]
    assert encoded.encoders == 1 and encoded.models == plain.models
