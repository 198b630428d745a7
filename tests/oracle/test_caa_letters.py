"""Letters against slow forwards: the probability of one of two, and where a vector is read."""

import math

import pytest
import torch

from trimtab.core.spec import ModelSpec
from trimtab.core.types import Completion
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, OptionsResult, Request
from trimtab.interventions.base import INTERVENTIONS
from trimtab.judges.base import Item
from trimtab.judges.choice import Choice
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext
from trimtab.tasks.base import TASKS


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def engine(request: pytest.FixtureRequest, tmp_path_factory) -> Engine:
    path = save_tiny(tmp_path_factory.mktemp("tiny"), request.param)
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


def rendered(engine: Engine, text: str, rendering: str) -> str:
    """Return the prompt as a text, made without the renderer; the tiny tokenizer has bytes."""
    if rendering == "plain":
        return f"Q: {text}\nA: "
    turns = [{"role": "user", "content": text}]
    tokenizer = engine.renderer.tokenizer
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def ids(engine: Engine, text: str) -> torch.Tensor:
    """Return the token ids [1, T] with one BOS."""
    tokenizer = engine.renderer.tokenizer
    found = tokenizer(text, add_special_tokens=False).input_ids
    first = tokenizer.bos_token_id
    return torch.tensor([found if found[0] == first else [first, *found]])


@pytest.mark.parametrize("rendering", ["chat", "plain"])
def test_the_probability_is_that_of_the_letter_after_the_parenthesis(engine, rendering) -> None:
    task = TASKS.build("caa_ab", {"behaviour": "patience", "rendering": rendering})
    judge = Choice(Choice.Config(form="behaviour"))
    samples = task.samples("test")
    requests = []
    for sample in samples:
        prompt, options = engine.renderer.with_answers(
            sample.messages, [choice.text for choice in sample.choices], rendering
        )
        requests.append(Request(sample.id, tuple(prompt), Options(tuple(map(tuple, options)))))
    results = {result.key: result for result in engine.run(requests)}
    for sample in samples:
        result = results[sample.id]
        assert isinstance(result, OptionsResult)
        completion = Completion(
            cell="c", sample_id=sample.id, protocol="p", num_prompt_tokens=1,
            option_logprobs=result.logprobs, finish_reason="options",
        )  # fmt: skip
        (verdict,) = judge.verdicts([Item(sample, completion)], None)
        text = rendered(engine, sample.messages[0].content, rendering) + "("
        with torch.no_grad():
            logits = engine.loaded.model(ids(engine, text)).logits[0, -1].double()
        a, b = (float(logits[ids(engine, letter)[0, -1]]) for letter in "AB")
        probability = 1 / (1 + math.exp(b - a))
        expected = probability if sample.target == "(A)" else 1 - probability
        assert verdict.values["matching"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("rendering", ["chat", "plain"])
def test_a_vector_is_read_at_the_token_of_the_letter(engine, rendering) -> None:
    """A hook on the block, on the prompt with ``(A)`` behind it; the letter is the second last."""
    layer = 1
    task = TASKS.build("caa_ab", {"behaviour": "agreement", "rendering": rendering, "limit": 4})
    pairs = task.pairs("fit")
    assert len(pairs) == 8
    caa = INTERVENTIONS.build("caa", {"layer": layer, "read": "letter"})
    fitted = caa.fit(FitContext.of_pairs(engine, pairs, rendering, seed=0))
    seen: list[torch.Tensor] = []

    def keep(_module, _inputs, output) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output).reshape(-1, 32))

    handle = engine.loaded.layout.blocks[layer].register_forward_hook(keep)
    expected = torch.zeros(32, dtype=torch.float64)
    for pair in pairs:
        for answer, sign in ((pair.positive, 1), (pair.negative, -1)):
            text = rendered(engine, pair.messages[0].content, rendering) + answer
            tokens = ids(engine, text)
            assert engine.renderer.decode(tokens[0, -2:].tolist()) == answer[1:]
            seen.clear()
            with torch.no_grad():
                engine.loaded.model(tokens)
            expected += sign * seen[0][-2].double() / len(pairs)
    handle.remove()
    direction = fitted.tensors[f"l{layer}.direction"].double()
    torch.testing.assert_close(direction, expected, atol=1e-5, rtol=1e-4)
