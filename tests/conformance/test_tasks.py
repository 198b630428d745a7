"""What holds for every task in the folder, in each of its forms."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import Split
from trimtab.core.types import Completion, Sample
from trimtab.judges.base import JUDGES, Item, Verdict
from trimtab.tasks.base import TASKS, Task
from trimtab.text.overlap import normalise_question

SPLITS: tuple[Split, ...] = ("fit", "select", "test")
PROBLEMS = "problems.jsonl"
RIGHT_ANSWERS = "right_answers.json"

# A task that is not named here must work with an empty configuration.
CONFIGS: dict[str, list[dict[str, Any]]] = {
    "arithmetic": [{"count": 60}, {"count": 60, "rendering": "raw"}],
    "caa_ab": [
        {},
        {"order": "given", "rendering": "plain"},
        {"behaviour": "facts"},
        {"source": RIGHT_ANSWERS},
        {"form": "open_ended"},
    ],
    "gsm8k": [
        {"source": PROBLEMS, "fractions": {"fit": 0.5, "select": 0.2, "test": 0.3}},
        {
            "source": PROBLEMS,
            "rendering": "raw",
            "shots": 2,
            "fractions": {"fit": 0.5, "test": 0.3, "select": 0.2},
        },
    ],
    "cnn_dailymail": [{}, {"rendering": "raw", "characters": None}],
    "imdb": [{}, {"rendering": "raw", "characters": None}],
    "truthfulqa": [
        {"form": form, "rendering": rendering}
        for form in ("generation", "options", "two_option")
        for rendering in ("chat", "plain")
    ],
}
CASES = [
    pytest.param(name, config, id=f"{name}-{i}")
    for name in TASKS.names()
    for i, config in enumerate(CONFIGS.get(name, [{}]))
]
UNJUDGED = {"heldout", "caa_ab-4", "instructions"}
"""Tasks without a right answer that a program can tell: prose, open answers."""
NO_GOLD = {"persona"}
"""Tasks whose judges say what an answer is: what is right depends on how it was asked for."""


@pytest.fixture(scope="module", autouse=True)
def data_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Number problems, and A/B rows of what is right, in a folder to work in."""
    folder = tmp_path_factory.mktemp("tasks")
    problems = [
        {
            "question": f"Tom has {i} hens and buys {i * i} more. How many?",
            "answer": f"#### {i + i * i}",
        }
        for i in range(2, 42)
    ]
    (folder / PROBLEMS).write_text("".join(json.dumps(row) + "\n" for row in problems))
    rows = [
        {
            "prompt": f"What is {i} + {i}?\n\n(A) {2 * i}\n(B) {2 * i + 1}",
            "correct": "(A)",
            "incorrect": "(B)",
            "category": "sums",
        }
        for i in range(30)
    ]
    (folder / RIGHT_ANSWERS).write_text(json.dumps(rows))
    return folder


@pytest.fixture(autouse=True)
def beside_the_data(data_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data_files)


def samples_of(task: Task[Any]) -> dict[Split, list[Sample]]:
    """Return the samples of every split that is not empty."""
    samples: dict[Split, list[Sample]] = {}
    for split in SPLITS:
        try:
            samples[split] = task.samples(split)
        except ConfigError as error:
            assert split in str(error), "the error names the split"
        except DataError:
            assert split != "test", "a folder may hold a test file alone"
    return samples


@pytest.mark.parametrize(("name", "config"), CASES)
def test_samples_are_ordered_the_same_every_time_and_in_one_split(name, config) -> None:
    samples = samples_of(TASKS.build(name, config))
    assert samples_of(TASKS.build(name, config)) == samples
    assert samples.get("test"), "a task is measured on its test split"
    ids = {split: [sample.id for sample in some] for split, some in samples.items()}
    every = [one for some in ids.values() for one in some]
    assert len(set(every)) == len(every)
    asked: dict[str, Split] = {}
    for split, some in samples.items():
        assert ids[split] == sorted(ids[split])
        for sample in some:
            question = normalise_question(sample.messages[-1].content)
            assert asked.setdefault(question, split) == split, sample.id


@pytest.mark.parametrize(("name", "config"), CASES)
def test_the_procedure_is_named_and_samples_fit_it(name, config) -> None:
    task = TASKS.build(name, config)
    assert task.protocol and task.protocol == TASKS.build(name, config).protocol
    assert task.measure and task.rendering in ("chat", "plain", "verbatim")
    assert (task.sampling() is None) == (task.output == "options")
    for sample in samples_of(task)["test"]:
        assert sample.messages[-1].role == "user" and sample.messages[-1].content.strip()
        assert bool(sample.choices) == (task.output == "options")
        assert not sample.preamble or task.rendering != "chat", "a chat turn has no few-shot text"


def verdicts(task: Task[Any], name: str, config: dict[str, Any], *, right: bool) -> list[Verdict]:
    """Return a judge's verdicts on answers to the test split that are all right, or all wrong."""
    judge = JUDGES.build(name, config)
    assert judge.resource == "none", "the gold check needs no model"
    items = [Item(sample, answer(sample, right)) for sample in samples_of(task)["test"]]
    return judge.verdicts(items, None)


def answer(sample: Sample, right: bool) -> Completion:
    """Return a completion made from the target, or log-probabilities that favour its choices."""
    fields: dict[str, Any] = {
        "cell": "c",
        "sample_id": sample.id,
        "protocol": "p",
        "num_prompt_tokens": 1,
    }
    if sample.choices:
        logprobs = [-1.0 if c.correct == right else -100.0 for c in sample.choices]
        return Completion(**fields, option_logprobs=tuple(logprobs), finish_reason="options")
    assert sample.target is not None
    text = sample.target if right else wrong_text(sample)
    return Completion(**fields, text=text, num_tokens=1, finish_reason="eos")


def wrong_text(sample: Sample) -> str:
    """Return a published wrong answer, a number that is one too large, or words of no sense."""
    published = sample.metadata.get("incorrect_answers")
    if isinstance(published, list):
        return str(published[0])
    assert sample.target is not None
    try:
        return str(float(sample.target) + 1)
    except ValueError:
        return "Zebras hum."


@pytest.mark.parametrize(("name", "config"), CASES)
def test_the_first_judge_gives_right_answers_1_and_wrong_ones_less(name, config, request) -> None:
    task = TASKS.build(name, config)
    judges = task.judges()
    for judge in judges:
        assert JUDGES.build(judge.name, judge.config).output == task.output
    case = request.node.callspec.id
    assert (not judges) == (case in UNJUDGED or name in UNJUDGED)
    if not judges or name in NO_GOLD:
        return
    first = judges[0]
    metric = JUDGES.build(first.name, first.config).metrics[0].name
    good = verdicts(task, first.name, first.config, right=True)
    bad = verdicts(task, first.name, first.config, right=False)
    assert {verdict.values[metric] for verdict in good} == {1.0}
    for verdict in bad:
        value = verdict.values[metric]
        assert value is not None and value < 0.5
    for verdict in (*good, *bad):
        assert None not in verdict.values.values(), "no metric is unscored throughout"


@pytest.mark.parametrize(("name", "config"), CASES)
def test_pairs_are_of_their_split_and_the_same_every_time(name, config) -> None:
    task = TASKS.build(name, config)
    asked = {split: {_asked(sample) for sample in some} for split, some in samples_of(task).items()}
    for split in ("fit", "select"):
        try:
            pairs = task.pairs(split)
        except (ConfigError, DataError):  # it has none, or its folder has none of this split
            continue
        assert TASKS.build(name, config).pairs(split) == pairs
        assert len({pair.id for pair in pairs}) == len(pairs) > 0
        for pair in pairs:
            assert pair.positive.strip() != pair.negative.strip()
            question = normalise_question(pair.question or pair.messages[-1].content)
            assert not any(question in asked[other] for other in asked if other != split), pair.id


def _asked(sample: Sample) -> str:
    question = sample.metadata.get("question")
    asked = question if isinstance(question, str) else sample.messages[-1].content
    return normalise_question(asked)


@pytest.mark.parametrize("name", TASKS.names())
def test_loading_one_loads_nothing_heavy(name, repo: Path) -> None:
    code = (
        "import sys\n"
        "from trimtab.tasks.base import TASKS\n"
        f"TASKS.load({name!r})\n"
        "heavy = {'torch', 'transformers', 'numpy', 'datasets', 'trimtab.judges'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(repo / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
