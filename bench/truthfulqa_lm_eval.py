"""MC1 and MC2 of the unsteered SmolLM2-135M-Instruct, question by question, here and in lm-eval.

    python bench/truthfulqa_lm_eval.py [--data FOLDER] [--out FOLDER] [--limit N] [--golden FILE]
        [--model ID] [--batch 16]

FOLDER holds ``mc_task.json`` of TruthfulQA's 817-question version. Both sides get the same float32
weights and the raw QA preset. lm-eval's results are kept by model, in pieces of 20 questions, so
that a run that was stopped goes on. ``--golden`` writes the figures that ``tests/golden`` checks;
questions are named by hash there, because the data set asks not to be spread. lm-eval comes with
the extra ``bench``. Both sides' times are printed, lm-eval's for the pieces that were not there.
"""

import argparse
import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

from machine import header

from trimtab.core.keys import content_key
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Completion, Sample
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, OptionsResult, Request
from trimtab.judges.base import JUDGES, Item
from trimtab.models.load import load_model, model_dir, resolve
from trimtab.tasks.base import TASKS

PIECE = 20


def ours(model: ModelSpec, data: Path, questions: set[str]) -> dict[str, dict[str, float]]:
    """Return {question: {"mc1": ..., "mc2": ...}} of the engine and the judge ``choice``."""
    config = {
        "source": str(data / "mc_task.json"),
        "form": "options",
        "rendering": "plain",
        "preset": "qa",
        "fractions": {"fit": 0, "select": 0, "test": 1},
    }
    task = TASKS.build("truthfulqa", config)
    judge = JUDGES.build("choice", {"form": "options", "sets": ["mc1", "mc2"]})
    samples = {s.id: s for s in task.samples("test") if text_of(s) in questions}
    engine = Engine(load_model(resolve(model)))
    requests = []
    for sample in samples.values():
        prompt, answers = engine.renderer.with_answers(
            sample.messages, [c.text for c in sample.choices], "plain", sample.preamble
        )
        options = Options(tuple(tuple(answer) for answer in answers))
        requests.append(Request(sample.id, tuple(prompt), options))
    found = {}
    start = time.perf_counter()
    results = list(engine.run(requests))
    print(f"trimtab: {time.perf_counter() - start:.1f} s for {len(requests)} questions")
    for result in results:
        assert isinstance(result, OptionsResult) and isinstance(result.key, str)
        row = Completion(
            cell="bench",
            sample_id=result.key,
            protocol=task.protocol,
            num_prompt_tokens=0,
            option_logprobs=result.logprobs,
            finish_reason="options",
        )
        values = judge.verdicts([Item(samples[result.key], row)], None)[0].values
        found[text_of(samples[result.key])] = {k: values[k] or 0.0 for k in ("mc1", "mc2")}
    return found


def text_of(sample: Sample) -> str:
    """Return the question's text."""
    return sample.messages[-1].content


def theirs(
    model: ModelSpec, rows: list[dict[str, Any]], out: Path, batch: int
) -> dict[str, dict[str, float]]:
    """Return the same from lm-eval, a piece at a time."""
    found: dict[str, dict[str, float]] = {}
    seconds = pieces = 0.0
    language_model = None
    for at in range(0, len(rows), PIECE):
        kept = out / f"{at:04d}.json"
        if not kept.exists():
            if language_model is None:
                from lm_eval.models.huggingface import HFLM

                folder = str(model_dir(model))
                language_model = HFLM(
                    pretrained=folder, dtype="float32", device="cpu", batch_size=batch
                )
            start = time.perf_counter()
            kept.write_text(json.dumps(piece(language_model, rows[at : at + PIECE], out)))
            seconds += time.perf_counter() - start
            pieces += 1
        found |= {
            q: {k: v[k] for k in ("mc1", "mc2")} for q, v in json.loads(kept.read_text()).items()
        }
    print(f"lm-eval: {seconds:.1f} s for {pieces:.0f} pieces of {PIECE} questions")
    return found


def piece(language_model: Any, rows: list[dict[str, Any]], out: Path) -> dict[str, Any]:
    """Run lm-eval's own two tasks on some questions, read from a local file."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    source = Path(lm_eval.__file__).parent / "tasks" / "truthfulqa"
    tasks = out / "tasks"
    shutil.rmtree(tasks, ignore_errors=True)
    tasks.mkdir(parents=True)
    data = tasks / "data.jsonl"
    with data.open("w") as file:
        for row in rows:
            targets = {
                key: {"choices": list(row[key]), "labels": list(row[key].values())}
                for key in ("mc1_targets", "mc2_targets")
            }
            file.write(json.dumps({"question": row["question"], **targets}) + "\n")
    shutil.copy(source / "utils.py", tasks / "utils.py")
    hub = "dataset_path: truthfulqa/truthful_qa\ndataset_name: multiple_choice\n"
    local = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    validation: {data}\n"
    names = ["truthfulqa_mc1", "truthfulqa_mc2"]
    for name in names:
        text = (source / f"{name}.yaml").read_text().replace(hub, local)
        text = text.replace("tag:\n  - truthfulqa\n", "").replace(
            f"task: {name}", f"task: {name}_x"
        )
        text = text.replace("include: truthfulqa_mc1.yaml", "include: truthfulqa_mc1_x.yaml")
        (tasks / f"{name}_x.yaml").write_text(text)
    results = lm_eval.simple_evaluate(
        model=language_model,
        tasks=[f"{name}_x" for name in names],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    found: dict[str, Any] = {}
    for name, metric in zip(names, ("mc1", "mc2"), strict=True):
        for sample in results["samples"][f"{name}_x"]:
            found.setdefault(sample["doc"]["question"], {})[metric] = float(sample["acc"])
    return found


def main() -> None:
    """Compare, print and, if asked, write the golden file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("../shared/data/truthfulqa/v1"))
    parser.add_argument("--out", type=Path, default=Path("runs/lm-eval"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--golden", type=Path)
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    rows = json.loads((args.data / "mc_task.json").read_text())
    random.Random(20261121).shuffle(rows)
    rows = rows[: args.limit]
    header(f"options {vars(args)}")
    model = ModelSpec(id=args.model, device="cpu", dtype="float32")
    out = args.out / resolve(model).identity
    out.mkdir(parents=True, exist_ok=True)
    them = theirs(model, rows, out, args.batch)
    we = ours(model, args.data, set(them))
    assert set(we) == set(them)
    largest = max(abs(we[q]["mc2"] - them[q]["mc2"]) for q in we)
    differing = [q for q in we if we[q]["mc1"] != them[q]["mc1"]]
    for name, found in (("trimtab", we), ("lm-eval", them)):
        mc1, mc2 = (sum(v[k] for v in found.values()) / len(found) for k in ("mc1", "mc2"))
        print(f"{name}: n = {len(found)}, MC1 = {mc1:.4f}, MC2 = {mc2:.4f}")
    print(f"largest difference of MC2 on one question {largest:.1e}; MC1 differs on {differing}")
    if args.golden:
        by_hash = {content_key(q): them[q] for q in sorted(them, key=content_key)}
        args.golden.write_text(json.dumps(by_hash, indent=1) + "\n")


if __name__ == "__main__":
    main()
