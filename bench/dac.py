"""Dynamic Activation Composition against the released algorithm: whole sequences, no cache.

    python bench/dac.py [--prompts 16] [--max-tokens 64] [--dtype float32] [--peer-prompts 2]
        [--repeats 1]

GSM8K questions, random differences at all heads of every block of SmolLM2-135M-Instruct, preset
``released``. For each token the peer runs three forwards over the sequence so far, one row at a
time; it runs some of the prompts, and its time is scaled.
"""

import argparse

import torch
from machine import gsm8k_prompts, header, in_turns

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import DynamicStrength, Request, Text
from trimtab.engine.writing.dynamic import strength
from trimtab.models.load import load_model, resolve


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--peer-prompts", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    header(f"dac {vars(args)}")
    spec = ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu", dtype=args.dtype)
    engine, peer = Engine(load_model(resolve(spec))), load_model(resolve(spec))
    layout = peer.layout
    generator = torch.Generator().manual_seed(0)
    deltas = {
        (x, "heads"): 0.3 * torch.randn(args.max_tokens, layout.head_width, generator=generator)
        for x in range(layout.num_layers)
    }
    dynamic = DynamicStrength((deltas,), per_token=True)
    sampling = SamplingParams(max_tokens=args.max_tokens)
    prompts = gsm8k_prompts(engine.renderer, args.prompts)
    want = Text(sampling, dynamic=dynamic)
    requests = [Request(i, prompt, want) for i, prompt in enumerate(prompts)]

    def ours() -> dict[int, list[int]]:
        return {r.key: list(r.tokens) for r in engine.run(requests)}

    def last_logits(tokens: list[int], num_prompt: int, strengths: list[float]) -> torch.Tensor:
        def hook_at(place):
            def hook(_module, inputs):
                x = inputs[0].clone()
                values = torch.tensor(strengths)[:, None] * deltas[place][: len(strengths)]
                x[0, num_prompt - 1 :] += values.to(x.dtype)
                return (x,)

            return hook

        handles = [
            layout.head_mixers[place[0]].register_forward_pre_hook(hook_at(place))
            for place in deltas
        ]
        try:
            with torch.no_grad():
                return peer.model(torch.tensor([tokens]), use_cache=False).logits[0, -1].float()
        finally:
            for handle in handles:
                handle.remove()

    def theirs() -> dict[int, list[int]]:
        found = {}
        for i, prompt in enumerate(prompts[: args.peer_prompts]):
            tokens, strengths = list(prompt), []
            for step in range(args.max_tokens):
                p, q = (
                    last_logits(tokens, len(prompt), [x] * (step + 1)).log_softmax(-1)[None]
                    for x in (0.0, dynamic.probe)
                )
                strengths.append(float(strength(p, q, dynamic)[0]))
                tokens.append(int(last_logits(tokens, len(prompt), strengths).argmax()))
                if tokens[-1] in peer.eos_ids:
                    break
            found[i] = tokens[len(prompt) :]
        return found

    scale = args.prompts / args.peer_prompts

    def check(a: dict[int, list[int]], b: dict[int, list[int]]) -> str:
        differ = sum(a[i] != b[i] for i in b)
        return f"x {scale:g} for the prompts not run; {differ} of {len(b)} texts differ"

    turns = in_turns({"trimtab": ours, "released": theirs}, args.repeats, check)
    pairs = zip(turns["trimtab"], turns["released"], strict=True)
    ratios = [round(b.seconds * scale / a.seconds, 1) for a, b in pairs]
    print(f"released x {scale:g} / trimtab: {ratios}")


if __name__ == "__main__":
    main()
