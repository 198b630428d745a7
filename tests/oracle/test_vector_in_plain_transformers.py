"""A vector fitted here works the same in plain transformers with an ordinary forward hook.

The hook below is what a researcher would write without this package: it knows nothing of our
engine, takes padded batches on either side, and finds positions from the attention mask.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, OptionsResult, Request, Text, TextResult
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext

PAIRS = [
    ContrastPair(
        id=str(i),
        question_id=str(i),
        messages=(Message(role="user", content=question),),
        positive=true,
        negative=false,
    )
    for i, (question, true, false) in enumerate(
        [
            ("Is the earth flat?", "No, it is round.", "Yes, it is flat."),
            ("Do fish breathe?", "Yes, with gills.", "No, they hold their breath."),
            ("Is glass a liquid?", "No, it is a solid.", "Yes, a slow one."),
            ("Can pigs fly?", "No, they can't.", "Yes, at night."),
        ]
    )
]
QUESTIONS = ["Why?", "What is the tallest mountain on earth, and who climbed it first?", "How so?"]
NUM_NEW = 6


@pytest.fixture(
    scope="module",
    params=[
        *("tiny-llama", "tiny-gemma3", "smollm2"),
        pytest.param("gemma3", marks=pytest.mark.campaign),
    ],
)
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    if request.param.startswith("tiny"):
        path = tmp_path_factory.mktemp(request.param)
        save_tiny(path, request.param.removeprefix("tiny-"))
        return load_model(resolve(ModelSpec(id=str(path), device="cpu")))
    name = {"smollm2": "smollm2-135m-instruct", "gemma3": "gemma3-270m"}[request.param]
    try:
        return load_model(resolve(ModelSpec(id=f"bundled:{name}", device="cpu")))
    except ModelError as error:
        pytest.skip(f"the bundled model {name} is not here: {error}")


@contextmanager
def hooked(
    loaded: LoadedModel, layer: int, added: torch.Tensor, where: str, side: str
) -> Iterator[dict[str, torch.Tensor]]:
    """Add a vector to a block's output in a padded batch whose mask is in the yielded dict."""
    state: dict[str, torch.Tensor] = {}

    def hook(_module, _args, output):
        h = output[0] if isinstance(output, tuple) else output
        n = h.shape[1]
        position = (state["mask"].cumsum(1) - 1)[:, -n:] if side == "left" else (
            torch.arange(n)[None].expand(h.shape[0], -1)
        )  # fmt: skip
        num_prompt = state["num_prompt"][:, None]
        act = {
            "all": position >= 0,
            "prompt": position < num_prompt,
            "generated": position >= num_prompt - 1,
        }[where]
        out = h + act[:, :, None] * added
        return (out, *output[1:]) if isinstance(output, tuple) else out

    handle = loaded.model.get_submodule(loaded.layout.block_names[layer]).register_forward_hook(
        hook
    )
    try:
        yield state
    finally:
        handle.remove()


@pytest.mark.parametrize("where", ["all", "prompt", "generated"])
def test_same_logits_and_tokens(loaded: LoadedModel, where: str) -> None:
    engine = Engine(loaded)
    rendering = "chat" if engine.renderer.has_template else "plain"
    layer = loaded.layout.num_layers // 2
    config = {"layer": layer, "strength": 0.6, "unit": "relative", "positions": where}
    caa = INTERVENTIONS.build("caa", config)
    fitted = caa.fit(FitContext.of_pairs(engine, PAIRS, rendering, 0))
    edits = caa.treat({"vector": fitted}).edits
    added = caa.strengths({"vector": fitted})["raw"] * fitted.tensors[f"l{layer}.direction"]
    prompts = [
        engine.renderer.prompt((Message(role="user", content=q),), rendering) for q in QUESTIONS
    ]
    texts = {
        r.key: r
        for r in engine.run(
            [
                Request(i, tuple(p), Text(SamplingParams(max_tokens=NUM_NEW)), edits)
                for i, p in enumerate(prompts)
            ]
        )
    }
    answers = {i: r.tokens for i, r in texts.items() if isinstance(r, TextResult)}
    # each prefix of the answer is an option: so every position's logits are compared
    scored = engine.run(
        [
            Request(
                i,
                tuple(p),
                Options(tuple(answers[i][: k + 1] for k in range(len(answers[i])))),
                edits,
            )
            for i, p in enumerate(prompts)
        ]
    )
    ours = {r.key: torch.tensor(r.logprobs) for r in scored if isinstance(r, OptionsResult)}
    for side in ("left", "right"):
        rows = [[*p, *answers[i]] for i, p in enumerate(prompts)]
        width = max(map(len, rows))
        ids, mask = torch.zeros(3, width, dtype=torch.long), torch.zeros(3, width, dtype=torch.long)
        for i, row in enumerate(rows):
            at = width - len(row) if side == "left" else 0
            ids[i, at : at + len(row)] = torch.tensor(row)
            mask[i, at : at + len(row)] = 1
        with hooked(loaded, layer, added, where, side) as state, torch.no_grad():
            state["mask"] = mask
            state["num_prompt"] = torch.tensor([len(p) for p in prompts])
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            logits = loaded.model(ids, attention_mask=mask, position_ids=positions).logits
        for i, row in enumerate(rows):
            at = width - len(row) if side == "left" else 0
            n = len(prompts[i])
            logprobs = logits[i, at + n - 1 : at + len(row) - 1].log_softmax(-1)
            steps = logprobs.gather(1, torch.tensor(answers[i])[:, None])[:, 0].cumsum(0)
            torch.testing.assert_close(ours[i], steps, atol=1e-3, rtol=1e-4)
            assert logprobs.argmax(-1).tolist() == list(answers[i]), (side, i)
