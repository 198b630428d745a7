"""Memory of a long run, its workers included: short texts of many rows, in windows as runs do.

    python bench/memory.py [--rows 20000] [--window 512] [--max-tokens 8] [--dtype float32]

GSM8K questions, eight strengths each. Prints the peak of every tenth window, and the largest; flat
means that the last third does not rise above the second.
"""

import argparse

import torch
from machine import PeakMemory, gsm8k_prompts, header

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit, Request, Text
from trimtab.models.load import load_model, resolve

STRENGTHS = torch.linspace(-2, 2, 8).tolist()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--max-tokens", type=int, default=8)
    args = parser.parse_args()
    header(f"memory {vars(args)}")
    engine = Engine(load_model(resolve(ModelSpec(id=args.model, device="cpu", dtype=args.dtype))))
    v = torch.randn(engine.hidden_size, generator=torch.Generator().manual_seed(0))
    v /= v.norm()
    layer = engine.num_layers // 2
    prompts = gsm8k_prompts(engine.renderer, args.rows)
    want = Text(SamplingParams(max_tokens=args.max_tokens))
    edits = [(Edit(layer, v, strength),) for strength in STRENGTHS]
    rows = [
        Request(number, prompts[number // 8 % len(prompts)], want, edits[number % 8])
        for number in range(args.rows)
    ]
    windows = [rows[at : at + args.window] for at in range(0, len(rows), args.window)]
    seen, tokens = [], 0
    for number, window in enumerate(windows, 1):
        with PeakMemory() as memory:
            tokens += sum(len(result.tokens) for result in engine.run(window))
        seen.append(memory.peak)
        if number % max(1, len(windows) // 10) == 0:
            print(f"  {min(number * args.window, args.rows)} rows: {seen[-1]:.0f} MB", flush=True)
    third = len(seen) // 3
    print(
        f"{len(rows)} rows, {tokens} tokens: largest of the second third "
        f"{max(seen[third : 2 * third]):.0f} MB, of the last {max(seen[2 * third :]):.0f} MB"
    )


if __name__ == "__main__":
    main()
