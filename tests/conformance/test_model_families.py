"""A family gives what plain transformers gives, or is refused by its name when it is loaded."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_families import save_family
from transformers import AutoModelForCausalLM, PreTrainedModel

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, OptionsResult, Request, Text, TextResult
from trimtab.models.load import load_model, resolve

# Blocks of full attention, windows, experts, soft caps, learned positions, scaled residuals; and
# what the engine can't do: masks of its own, states, several attentions in a block.
FEW_EQUAL = ("gemma2", "gemma3_text", "gpt2", "gpt_neox", "mistral", "olmo2", "phi3", "qwen3_moe")
FEW_REFUSED = ("bloom", "diffllama", "falcon", "jamba")

FAMILIES = json.loads((Path(__file__).parents[1] / "data" / "model_families.json").read_text())
"""What each was found to be. Undecided: latent attention, which may be either."""

OPTIONS = ((5,), (6, 7, 8), (5, 9))
NATS = 1e-3


@pytest.mark.parametrize("family", FEW_EQUAL)
def test_few_families_equal_plain_transformers(family, tmp_path) -> None:
    assert largest_difference(family, tmp_path) < NATS


@pytest.mark.parametrize("family", FEW_REFUSED)
def test_few_families_are_refused_by_name(family, tmp_path) -> None:
    with pytest.raises(ModelError, match=f"(?i){family}"):
        largest_difference(family, tmp_path)


@pytest.mark.families
@pytest.mark.parametrize("family", [*itertools.chain(*FAMILIES.values())])
def test_every_family_is_equal_or_refused_by_name(family, tmp_path) -> None:
    try:
        assert largest_difference(family, tmp_path) < NATS
        assert family not in FAMILIES["refused"], "it agrees now: move it"
    except ModelError as error:
        words = family.translate(str.maketrans("", "", "_-")).removesuffix("text")
        assert words in str(error).lower().translate(str.maketrans("", "", "_-'"))
        assert "\n" not in str(error)
        assert family not in FAMILIES["equal"], str(error)


def largest_difference(family: str, folder) -> float:
    """Return how far option scores and greedy texts are from plain transformers, in nats."""
    save_family(folder, family)
    engine = Engine(load_model(resolve(ModelSpec(id=str(folder), device="cpu", dtype="float32"))))
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(3)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, 255, (count,), generator=generator).tolist())

    # a long common start, which is read apart, and prompts on both sides of a window of 16
    common = draw(70)
    prompts = [common + draw(1), common + draw(9), common + draw(30), draw(3), draw(40)]
    text = Text(SamplingParams(max_tokens=6))
    off = []
    for some in (prompts, prompts[:3]):
        asked = [Request(("options", p), p, Options(OPTIONS)) for p in some]
        asked += [Request(("text", p), p, text) for p in some]
        for result in engine.run(asked):
            prompt = result.key[1]
            if isinstance(result, TextResult):
                off.append(abs(result.logprob - logprob(plain, prompt, result.tokens)))
            else:
                assert isinstance(result, OptionsResult)
                wanted = [logprob(plain, prompt, option) for option in OPTIONS]
                off += [abs(a - b) for a, b in zip(result.logprobs, wanted, strict=True)]
    return max(off)


@torch.no_grad()
def logprob(plain: PreTrainedModel, prompt: Sequence[int], tokens: Sequence[int]) -> float:
    logits = plain(torch.tensor([[*prompt, *tokens]]), use_cache=False).logits[0]
    chosen = logits.log_softmax(-1)[len(prompt) - 1 : -1].gather(1, torch.tensor(tokens)[:, None])
    return float(chosen.sum())
