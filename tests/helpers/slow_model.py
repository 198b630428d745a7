"""The slow, obvious way: one row at a time, the whole sequence anew for each token, plain hooks."""

from collections.abc import Sequence

import torch

from trimtab.engine.batching.segments import span
from trimtab.engine.request import Edit
from trimtab.models.load import LoadedModel


def full_logits(
    loaded: LoadedModel, tokens: Sequence[int], num_prompt: int, edits: Sequence[Edit] = ()
) -> torch.Tensor:
    """Return the model's own logits [T, V] with vectors added by ordinary forward hooks."""

    def hook_for(edit: Edit):
        start, stop = span(edit, num_prompt)

        def hook(_module, _args, output):
            h = (output[0] if isinstance(output, tuple) else output).clone()
            h[0, start : min(stop, h.shape[1])] += edit.strength * edit.vector
            return (h, *output[1:]) if isinstance(output, tuple) else h

        return hook

    handles = [loaded.layout.blocks[e.layer].register_forward_hook(hook_for(e)) for e in edits]
    try:
        with torch.no_grad():
            return loaded.model(torch.tensor([list(tokens)]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()


def greedy(
    loaded: LoadedModel, prompt: Sequence[int], edits: Sequence[Edit], num_new: int
) -> tuple[list[int], float]:
    """Return greedy tokens (up to and with the end token) and their summed log-probability."""
    tokens, total = list(prompt), 0.0
    for _ in range(num_new):
        logprobs = full_logits(loaded, tokens, len(prompt), edits)[-1].log_softmax(-1)
        token = int(logprobs.argmax())
        total += float(logprobs[token])
        tokens.append(token)
        if token in loaded.eos_ids:
            break
    return tokens[len(prompt) :], total
