"""Greedy GSM8K answers of the unsteered SmolLM2-135M-Instruct, one by one, here and in lm-eval.

    python bench/gsm8k_lm_eval.py [--data FOLDER] [--out FOLDER] [--limit 100] [--batch 10]

FOLDER holds GSM8K's ``train.jsonl`` and ``test.jsonl``. lm-eval runs its own task ``gsm8k`` (5
shots raw, 256 tokens, its stop strings) on the first questions of the test set; the engine gets the
very prompts that lm-eval logged, the same float32 weights and the same limits. Printed are how many
texts and how many strict and flexible answers are equal, and each text that is not, from where it
parts. lm-eval's answers are kept in FOLDER --out, so that a run that was stopped goes on. lm-eval
comes with the extra ``bench``.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from machine import DATA, header

from trimtab.core.spec import ModelSpec
from trimtab.core.types import Message, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Request, Text, TextResult
from trimtab.models.load import load_model, model_dir, resolve
from trimtab.text.answers import EXTRACTORS, ExtractorName, is_correct

PIECE = 10
MODEL = ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu", dtype="float32")


def main() -> None:
    """Run both and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA / "gsm8k")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-gsm8k-lm-eval"))
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--batch", type=int, default=PIECE)
    args = parser.parse_args()
    header(f"gsm8k_lm_eval limit={args.limit}")
    args.out.mkdir(parents=True, exist_ok=True)
    logged = theirs(args.data, args.out.resolve(), args.limit, args.batch)
    texts = ours(logged)
    same = [text == row["text"] for text, row in zip(texts, logged, strict=True)]
    print(f"equal texts: {sum(same)} of {len(same)}")
    names: tuple[ExtractorName, ...] = ("strict", "flexible")
    for name in names:
        tell(name, texts, logged)
    for number, (text, row) in enumerate(zip(texts, logged, strict=True)):
        if text != row["text"]:
            at = next(
                (i for i, (a, b) in enumerate(zip(text, row["text"], strict=False)) if a != b),
                min(len(text), len(row["text"])),
            )
            print(f"question {number} parts at character {at} of {len(row['text'])}:")
            print(f"  here    {text[max(0, at - 20) : at + 40]!r}")
            print(f"  lm-eval {row['text'][max(0, at - 20) : at + 40]!r}")


def tell(name: ExtractorName, texts: list[str], logged: list[dict[str, Any]]) -> None:
    """Print how many answers of an extractor are equal, and both accuracies."""
    own = [EXTRACTORS[name](text).answer or "[invalid]" for text in texts]
    equal = sum(a == row[name] for a, row in zip(own, logged, strict=True))
    right = [
        is_correct(name, EXTRACTORS[name](text).answer, row["gold"])
        for text, row in zip(texts, logged, strict=True)
    ]
    theirs_right = sum(row[f"{name}_right"] for row in logged)
    print(
        f"{name}: {equal} of {len(logged)} answers equal; right {sum(right)} here, "
        f"{theirs_right:.0f} in lm-eval"
    )


def ours(logged: list[dict[str, Any]]) -> list[str]:
    """Return the engine's texts after lm-eval's prompts."""
    engine = Engine(load_model(resolve(MODEL)))
    requests = []
    for number, row in enumerate(logged):
        messages = (Message(role="user", content=row["prompt"]),)
        ids = tuple(engine.renderer.prompt(messages, "verbatim"))
        sampling = SamplingParams(max_tokens=row["max_tokens"], stop=tuple(row["stop"]))
        requests.append(Request(number, ids, Text(sampling)))
    start = time.perf_counter()
    found: dict[int, str] = {}
    for result in engine.run(requests):
        assert isinstance(result, TextResult) and isinstance(result.key, int)
        found[result.key] = result.text
    print(f"trimtab: {time.perf_counter() - start:.1f} s for {len(requests)} questions")
    return [found[number] for number in range(len(logged))]


def theirs(data: Path, out: Path, limit: int, batch: int) -> list[dict[str, Any]]:
    """Return prompt, text and answers of lm-eval, a piece at a time."""
    rows = (data / "test.jsonl").read_text(encoding="utf-8").splitlines()[:limit]
    found: list[dict[str, Any]] = []
    language_model, seconds = None, 0.0
    for at in range(0, len(rows), PIECE):
        kept = out / f"{at:04d}.json"
        if not kept.exists():
            if language_model is None:
                from lm_eval.models.huggingface import HFLM

                folder = str(model_dir(MODEL))
                language_model = HFLM(
                    pretrained=folder, dtype="float32", device="cpu", batch_size=batch
                )
            start = time.perf_counter()
            got = piece(language_model, rows[at : at + PIECE], data / "train.jsonl", out)
            seconds += time.perf_counter() - start
            kept.write_text(json.dumps(got))
        found += json.loads(kept.read_text())
    print(f"lm-eval: {seconds:.1f} s")
    return found


def piece(language_model: Any, rows: list[str], train: Path, out: Path) -> list[dict[str, Any]]:
    """Run lm-eval's own task on some questions, read from local files."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    source = Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / "gsm8k.yaml"
    tasks = out / "tasks"
    shutil.rmtree(tasks, ignore_errors=True)
    tasks.mkdir(parents=True)
    (tasks / "test.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    files = f"    train: {train.resolve()}\n    test: {tasks / 'test.jsonl'}\n"
    kept = []
    for line in source.read_text(encoding="utf-8").splitlines():
        if line.startswith("dataset_path:"):
            kept.append(f"dataset_path: json\ndataset_kwargs:\n  data_files:\n{files.rstrip()}")
        elif line.startswith("task:"):
            kept.append("task: gsm8k_x")
        elif not line.startswith(("dataset_name:", "tag:", "  - math_word_problems")):
            kept.append(line)
    (tasks / "gsm8k_x.yaml").write_text("\n".join(kept) + "\n", encoding="utf-8")
    results = lm_eval.simple_evaluate(
        model=language_model,
        tasks=["gsm8k_x"],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    assert results is not None
    found: dict[int, dict[str, Any]] = {}
    for logged in results["samples"]["gsm8k_x"]:
        prompt, limits = logged["arguments"][0]
        rule = logged["filter"].split("-")[0]
        entry = found.setdefault(
            logged["doc_id"],
            {
                "prompt": prompt,
                "text": logged["resps"][0][0],
                "gold": logged["doc"]["answer"],
                "stop": limits["until"],
                "max_tokens": limits.get("max_gen_toks", language_model.max_gen_toks),
            },
        )
        entry[rule] = logged["filtered_resps"][0]
        entry[f"{rule}_right"] = logged["exact_match"]
    return [found[number] for number in sorted(found)]


if __name__ == "__main__":
    main()
