"""A base and the checkpoints of a training, evaluated in one batch and one after the other.

    python bench/checkpoints.py [--model ID] [--checkpoints 8] [--prompts 8] [--max-tokens 64]
        [--rank 8] [--repeats 3] [--memory]

Questions of GSM8K, answered greedily by the base and by adapters with random factors. With 8
prompts it is the evaluation that is made while a training goes on; with 500 the one at its end.
Prints both sides' times, their ratio and whether the texts are the same.
"""

import argparse

import torch
from machine import gsm8k_prompts, header, in_turns

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Request, Text
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.lowrank import Adapter, LowRank, linear_layers

Texts = dict[tuple[int, int], tuple[int, ...]]


def random_adapter(loaded: LoadedModel, rank: int, seed: int) -> Adapter:
    """Return factors of all linear layers, whose sum changes an input by a twentieth."""
    generator = torch.Generator().manual_seed(seed)
    factors = {}
    for name, (num_in, num_out) in linear_layers(loaded.layout):
        down = torch.randn((rank, num_in), generator=generator) / num_in**0.5
        up = torch.randn((num_out, rank), generator=generator) * 0.05 / rank**0.5
        factors[name] = LowRank(down, up, scaling=1.0)
    return Adapter(factors)


def compare(ours: Texts, theirs: Texts) -> str:
    """Say how many texts differ."""
    return f"({sum(ours[key] != theirs[key] for key in theirs)} of {len(theirs)} texts differ)"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--checkpoints", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    args = parser.parse_args()
    header(f"checkpoints {vars(args)}")
    loaded = load_model(resolve(ModelSpec(id=args.model, device="cpu", dtype="float32")))
    engine = Engine(loaded)
    prompts = gsm8k_prompts(loaded.renderer, args.prompts)
    numbers = range(1, args.checkpoints + 1)
    states = [None, *(random_adapter(loaded, args.rank, seed) for seed in numbers)]
    sampling = SamplingParams(max_tokens=args.max_tokens, temperature=0.0)
    requests = [
        [
            Request((state, number), prompt, Text(sampling), adapter=adapter)
            for number, prompt in enumerate(prompts)
        ]
        for state, adapter in enumerate(states)
    ]

    def together() -> Texts:
        rows = [request for of_state in requests for request in of_state]
        return {r.key: r.tokens for r in engine.run(rows)}

    def in_turn() -> Texts:
        return {r.key: r.tokens for of_state in requests for r in engine.run(of_state)}

    sides = {"in one batch": together, "one after the other": in_turn}
    turns = in_turns(sides, args.repeats, compare, memory=args.memory)
    for name, some in turns.items():
        tokens = sum(map(len, some[0].result.values()))
        print(f"{name}: {tokens} tokens, best {tokens / min(t.seconds for t in some):.0f} per s")


if __name__ == "__main__":
    main()
