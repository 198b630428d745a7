"""What holds for every judge in the folder, on items that have broken judges before."""

import copy
import hashlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trimtab.clients.scripted import ScriptedChat, ScriptedEmbedder, ScriptedEnergy
from trimtab.core.types import Choice, Completion, Message, Sample
from trimtab.judges.base import JUDGES, Item
from trimtab.steering.fitted import Fitted
from trimtab.steering.projections import Asked

# A judge that is not named here must work with an empty configuration.
CONFIGS = {
    "choice": [{}, *({"form": f} for f in ("two_option", "behaviour", "side_effect"))],
    "panel": [
        {"judges": [{"name": "rubric", "rubric": r} for r in ("truth", "truth_finetuned")]},
    ],
    "projection": [{"layer": 1}],
    "recorded": [{}, {"score": "energy"}],
    "recorded_grades": [{}, {"passes": 1, "points": True}],
    "rubric": [
        {"rubric": "truth"},
        {"rubric": "info", "mode": "parsed"},
        {"rubric": "truth_finetuned"},
    ],
}
CASES = [
    pytest.param(name, config, id=f"{name}-{i}")
    for name in JUDGES.names()
    for i, config in enumerate(CONFIGS.get(name, [{}]))
]
TEXTS = [
    "Paris lies in France.",
    "",
    " \n\t",
    "no " * 5000,
    "漢字 🙂 e\u0301 \u202e \x00 {answer} %s <|im_end|>",
    "I'm sorry, but I can't help with that.",
    "A " + "x" * 20000,
]
OPTIONS = [
    (-5.0, -6.0, -7.0, -1.0, -2.0),
    (-800.0, -801.0, -802.0, -803.0, -804.0),
    (-1.0, -1.0, -1.0, -1.0, -1.0),
    (-5.0, math.nan, -7.0, -1.0, -2.0),
    (-5.0, -6.0),
]
CHOICES = (
    Choice(text="right", correct=True, sets=("mc1", "mc2", "binary"), reference=True),
    Choice(text="wrong", correct=False, sets=("mc1", "mc2", "binary")),
    Choice(text="also right", correct=True, sets=("mc2",)),
    Choice(text="A", correct=True, sets=("two_option", "behaviour", "side_effect")),
    Choice(text="B", correct=False, sets=("two_option", "behaviour", "side_effect")),
)


def sample(i: int, **changes) -> Sample:
    found = Sample(
        id=f"s{i}",
        messages=(Message(role="user", content=f"Where is Paris ({i})?"),),
        target="In France",
        choices=CHOICES,
        metadata={
            "correct_answers": ["France", "In Gaul"],
            "incorrect_answers": ["In Spain"],
            "recorded": [{"answer": "France", "correct": True, "score": 0.25}],
            "worth": 0.5,
            "judged": [{"score": 1.0, "refused": False, "error": None, "raw": "1"}],
        },
    )
    return found.model_copy(update=changes)


def completion(i: int, **fields) -> Completion:
    return Completion(cell="c", sample_id=f"s{i}", protocol="p", num_prompt_tokens=3, **fields)


def items_for(output: str) -> list[Item]:
    if output == "text":
        made = [
            {
                "text": text,
                "num_tokens": len(text.split()),
                "logprob": -0.5 * len(text.split()),
                "finish_reason": "eos",
            }
            for text in TEXTS
        ]
    else:
        made = [
            {
                "option_logprobs": logprobs,
                "option_num_tokens": (2,) * len(logprobs),
                "option_kl": (0.5,) + (None,) * (len(logprobs) - 1),
                "finish_reason": "options",
            }
            for logprobs in OPTIONS
        ]
    made.append({"finish_reason": "error", "error": "out of memory"})
    made.append({"finish_reason": "eos"})  # neither text nor options
    votes = ({"truth": 1.0}, {"truth": 1.0})
    asked = Asked(sample(0).messages, "chat")  # what a judge that reads the model is told
    items = [
        Item(sample(i), completion(i, **fields), votes, asked=asked)
        for i, fields in enumerate(made)
    ]
    bare = sample(len(made), target=None, choices=(), metadata={})
    return [*items, Item(bare, completion(len(made), **made[0]))]


class ScriptedProjections:
    """Projections that depend on the text alone; long texts are too long."""

    def projections(self, rows, owed=None):
        for number, (_, text) in enumerate(rows):
            if owed is None or owed[number]:
                yield number, None if len(text) > 9000 else pseudo_random(text)


def pseudo_random(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


@pytest.fixture
def resources() -> dict:
    def say(prompt):
        p = pseudo_random(prompt[-1].content)
        return None if p < 0.1 else p

    words = {"weight": torch.tensor([0.5, -0.25]), "idf": torch.tensor([1.0, 2.0])}
    return {
        "tfidf": {"words": Fitted({**words, "bias": torch.tensor(0.1)}, {"words": ["in", "no"]})},
        "projection": ScriptedProjections(),
        "none": None,
        "chat": ScriptedChat(say),
        "embedder": ScriptedEmbedder(lambda left, right: 2 * pseudo_random(left + right) - 1),
        "fitted": ScriptedEnergy(lambda problem, text: pseudo_random(problem + text)),
    }


@pytest.mark.parametrize(("name", "config"), CASES)
def test_verdicts(name, config, resources) -> None:
    judge = JUDGES.build(name, config)
    items = items_for(judge.output)
    before = copy.deepcopy(items)
    resource = resources.get(name, resources[judge.resource])
    verdicts = judge.verdicts(items, resource)

    assert len(verdicts) == len(items)
    metrics = {metric.name: metric for metric in judge.metrics}
    assert len(metrics) == len(judge.metrics) > 0
    for verdict in verdicts:
        assert list(verdict.values) == list(metrics)
        for metric, value in verdict.values.items():
            if value is None:
                assert verdict.error, "an unscored value has a reason"
                continue
            assert type(value) is float and math.isfinite(value)
            if metrics[metric].kind == "binary":
                assert value in (0.0, 1.0)
            if metrics[metric].kind == "fraction":
                assert 0.0 <= value <= 1.0
    assert any(None not in v.values.values() for v in verdicts), "the items suit this judge"
    assert items == before, "a judge changes nothing"

    # The same again, one by one, and in another order: a verdict depends on its item alone.
    assert judge.verdicts(items, resource) == verdicts
    assert [judge.verdicts([item], resource)[0] for item in items] == verdicts
    assert JUDGES.build(name, config).verdicts(items[::-1], resource) == verdicts[::-1]
    assert judge.verdicts([], resource) == []


@pytest.mark.parametrize(("name", "config"), CASES)
def test_what_is_not_owed_is_not_answered_and_changes_nothing(name, config, resources) -> None:
    judge = JUDGES.build(name, config)
    items = items_for(judge.output)
    resource = resources.get(name, resources[judge.resource])
    verdicts = judge.verdicts(items, resource)
    partly = [replace(item, owed=number % 3 == 1) for number, item in enumerate(items)]
    given = dict(judge.score(partly, resource))
    assert given == {n: verdict for n, verdict in enumerate(verdicts) if n % 3 == 1}
    assert not list(judge.score([replace(item, owed=False) for item in items], resource))


@pytest.mark.parametrize(("name", "config"), CASES)
def test_a_failed_completion_is_unscored_with_its_own_error(name, config, resources) -> None:
    judge = JUDGES.build(name, config)
    failed = Item(sample(0), completion(0, finish_reason="error", error="out of memory"))
    partial = Item(sample(1), items_for(judge.output)[0].completion)
    partial = Item(
        partial.sample, partial.completion.model_copy(update={"error": "layer 3 is not finite"})
    )
    found = judge.verdicts([failed, partial], resources.get(name, resources[judge.resource]))
    assert [v.error for v in found] == ["out of memory", "layer 3 is not finite"]
    assert {value for v in found for value in v.values.values()} == {None}


@pytest.mark.parametrize(
    ("name", "config"),
    [case for case in CASES if JUDGES.load(case.values[0]).output == "options"],
)
def test_options_in_another_order_score_the_same(name, config, resources) -> None:
    judge = JUDGES.build(name, config)
    item = items_for("options")[0]
    update = {
        field: getattr(item.completion, field)[::-1]
        for field in ("option_logprobs", "option_num_tokens", "option_kl")
    }
    turned = Item(sample(0, choices=CHOICES[::-1]), item.completion.model_copy(update=update))
    straight, reverse = judge.verdicts(
        [item, turned], resources.get(name, resources[judge.resource])
    )
    assert reverse.values == pytest.approx(straight.values, rel=1e-12)


@pytest.mark.parametrize("name", JUDGES.names())
def test_loading_one_loads_nothing_heavy(name, repo: Path) -> None:
    code = (
        "import sys\n"
        "from trimtab.judges.base import JUDGES\n"
        f"JUDGES.load({name!r})\n"
        "heavy = {'torch', 'transformers', 'numpy', 'sentence_transformers', 'httpx2'}\n"
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
