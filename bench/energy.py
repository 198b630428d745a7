"""Energies of 80 candidates in batches against one at a time.

    python bench/energy.py [--size small] [--kind encoder] [--repeats 3] [--words 60]

80 candidates, 5 each of 16 problems, as a published reranker scored them. Two ways of one at a
time: each text at its own length, and each padded to the longest pair that the encoder takes, as
scripts with ``padding="max_length"`` do. A head reads SmolLM2-135M-Instruct; its third side is
transformers' forward pass of each pair with ``output_hidden_states``.
"""

import argparse
import json

import torch
from machine import DATA, header, in_turns

from trimtab.core.spec import ModelSpec
from trimtab.core.streams import in_order
from trimtab.core.types import Message
from trimtab.engine.engine import Engine
from trimtab.models.load import load_model, resolve
from trimtab.models.nets.networks import SIZES, Encoder, Head
from trimtab.models.pairs import PairTokenizer, render_pair
from trimtab.training.rerankers.encoder import EncoderEnergy
from trimtab.training.rerankers.energies import EnergyModel
from trimtab.training.rerankers.head import HeadEnergy


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", default="encoder", choices=["encoder", "head"])
    parser.add_argument("--size", default="small", choices=list(SIZES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--words", type=int, default=60, help="most words of a candidate")
    args = parser.parse_args()
    header(f"energy {vars(args)}")
    pairs = candidates(args.words)
    model = made(args.kind, args.size, pairs)

    def batched() -> list[float]:
        return in_order(model.energies(pairs), len(pairs))

    def single() -> list[float]:
        return [model.score(problem, [text])[0] for problem, text in pairs]

    sides = {"batched": batched, "one at a time": single}
    if isinstance(model, EncoderEnergy):
        sides["one at a time, padded"] = lambda: padded(model, pairs)
    elif isinstance(model, HeadEnergy):
        library = load_model(model.engine.loaded.resolved).model
        sides["transformers, one at a time"] = lambda: by_library(library, model, pairs)

    def check(a: list[float], b: list[float]) -> str:
        return f"(largest difference {max(abs(x - y) for x, y in zip(a, b, strict=True)):.1e})"

    batched()
    in_turns(sides, args.repeats, check)


def padded(model: EncoderEnergy, pairs: list[tuple[str, str]]) -> list[float]:
    """Return energies of pairs that are scored alone, each with padding to the full length."""
    found = []
    for pair in pairs:
        (tokens,) = model.tokenizer.encode([render_pair(*pair)])
        ids = [*tokens.ids, *[0] * (model.tokenizer.max_length - len(tokens.ids))]
        with torch.no_grad():
            energy = model.module(
                torch.tensor([ids]),
                torch.tensor([len(tokens.ids)]),
                torch.tensor([tokens.answer_from]),
            )
        found.append(float(energy))
    return found


def by_library(
    library: torch.nn.Module, model: HeadEnergy, pairs: list[tuple[str, str]]
) -> list[float]:
    """Return energies from transformers' states of each pair by itself."""
    found = []
    for problem, text in pairs:
        messages = (Message(role="user", content=problem),)
        prompt, (answer,) = model.engine.renderer.with_answers(messages, [text], "chat")
        with torch.no_grad():
            out = library(torch.tensor([[*prompt, *answer]]), output_hidden_states=True)
            # entry 0 is the embeddings
            state_TH = out.hidden_states[model.layer + 1][0, len(prompt) :]
            read = torch.cat([state_TH.mean(dim=0), state_TH[-1]])
            found.append(float(model.module(read[None])))
    return found


def made(kind: str, size: str, pairs: list[tuple[str, str]]) -> EnergyModel:
    """Return an untrained energy model: speed does not depend on what it has learned."""
    torch.manual_seed(0)
    if kind == "head":
        spec = ModelSpec(id="bundled:smollm2-135m-instruct", device="cpu", dtype="float32")
        engine = Engine(load_model(resolve(spec)))
        return HeadEnergy(Head(2 * engine.hidden_size), engine, engine.num_layers // 2)
    shape = SIZES[size]
    rendered = [render_pair(*pair) for pair in pairs]
    tokenizer = PairTokenizer.train(rendered, shape.vocabulary, shape.max_length)
    return EncoderEnergy(Encoder(shape, tokenizer.size), tokenizer, torch.device("cpu"))


def candidates(words: int) -> list[tuple[str, str]]:
    """Return 5 sampled solutions of each of 16 GSM8K problems, cut to so many words."""
    path = DATA / "gsm8k_solutions" / "bestof5_gemma_dev.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:16]]
    return [
        (row["question"], " ".join(text.split()[-words:]))
        for row in rows
        for text in row["candidates"]
    ]


if __name__ == "__main__":
    main()
