"""Capture of contrast pairs against a full forward with ``output_hidden_states``.

    python bench/capture.py [--pairs 400] [--dtype float32] [--repeats 3] [--batch 16]

TruthfulQA questions with their best and their best incorrect answer, mean over the answer's tokens
at five blocks up to the middle of SmolLM2-135M-Instruct.
"""

import argparse
import csv

import torch
from machine import DATA, header, in_turns

from trimtab.core.spec import ModelSpec
from trimtab.core.types import Message
from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations, Request
from trimtab.models.load import load_model, resolve


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    header(f"capture {vars(args)}")
    spec = ModelSpec(id=args.model, device="cpu", dtype=args.dtype)
    engine, peer = Engine(load_model(resolve(spec))), load_model(resolve(spec))
    half = engine.num_layers // 2
    layers = tuple(sorted({half * k // 6 for k in range(2, 7)}))
    rows = answers(engine.renderer, args.pairs)
    requests = [
        Request(i, prompt, Activations(layers, answer, len(prompt), len(prompt) + len(answer)))
        for i, (prompt, answer) in enumerate(rows)
    ]

    def ours() -> dict[int, torch.Tensor]:
        return {r.key: r.mean_LH for r in engine.run(requests)}

    def theirs() -> dict[int, torch.Tensor]:
        found = {}
        for at in range(0, len(rows), args.batch):
            some = rows[at : at + args.batch]
            width = max(len(p) + len(a) for p, a in some)
            ids = torch.zeros((len(some), width), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for i, (prompt, answer) in enumerate(some):
                ids[i, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
                mask[i, : len(prompt) + len(answer)] = 1
            with torch.no_grad():
                hidden = peer.model(
                    input_ids=ids, attention_mask=mask, output_hidden_states=True
                ).hidden_states
            for i, (prompt, answer) in enumerate(some):
                span = slice(len(prompt), len(prompt) + len(answer))
                means = [hidden[layer + 1][i, span].float().mean(0) for layer in layers]
                found[at + i] = torch.stack(means)
        return found

    def check(a: dict[int, torch.Tensor], b: dict[int, torch.Tensor]) -> str:
        worst = max(float((a[i] - b[i]).norm() / b[i].norm()) for i in b)
        return f"(largest relative difference {worst:.1e}, layers {layers})"

    in_turns({"trimtab": ours, "transformers": theirs}, args.repeats, check)


def answers(renderer, pairs: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return (prompt, answer) of both answers of every question."""
    with (DATA / "truthfulqa" / "TruthfulQA.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))[:pairs]
    rows = []
    for line in lines:
        texts = [line["Best Answer"], line["Best Incorrect Answer"]]
        prompt, both = renderer.with_answers(
            (Message(role="user", content=line["Question"]),), texts, "chat"
        )
        rows += [(tuple(prompt), tuple(answer)) for answer in both]
    return rows


if __name__ == "__main__":
    main()
