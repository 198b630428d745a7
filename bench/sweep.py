"""A steering sweep against transformers' ``generate`` with a hook, once per strength.

    python bench/sweep.py [--model ID] [--dtype float32|bfloat16] [--positions generated|all]
        [--prompts 64] [--strengths 8] [--samples 1] [--temperature 0.7] [--top-p 1]
        [--max-tokens 96] [--batch 64] [--repeats 3]
        [--peer hf|hf-contiguous|hf-packed|off|none] [--peer-strengths N] [--peer-alone]
        [--memory]

GSM8K questions, a random unit vector in the middle block, greedy unless ``--samples`` asks for
several answers at a temperature. The peer may run N of the strengths only, spread over all of
them, and its time is scaled; ``--memory`` shows peaks, the peer's when it is alone. Peer "off" is
trimtab itself, the same rows without edits. For bfloat16, transformers hands its head a slice, for
which torch copies the head's weights once per row of a batch; "hf-contiguous" is spared that.
Prints tokens per second and the share of the machine's limit: the rate of packed products, measured
before and after each turn, over two operations per weight and token.
"""

import argparse
from collections.abc import Callable
from contextlib import contextmanager
from statistics import median

import torch
from machine import gsm8k_prompts, header, in_turns
from torch import nn

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.passes.packed import pack
from trimtab.engine.request import Edit, Request, Text
from trimtab.models.load import LoadedModel, load_model, resolve

PEERS = ["hf", "hf-contiguous", "hf-packed", "off", "none"]

Texts = dict[tuple[int, float, int], list[int]]


def trimtab(engine: Engine, prompts, v, layer, strengths, args) -> Callable[[], Texts]:
    """All strengths and samples of all prompts in one call."""
    sampling = SamplingParams(
        max_tokens=args.max_tokens,
        temperature=args.temperature if args.samples > 1 else 0.0,
        top_p=args.top_p if args.samples > 1 else 1.0,
    )
    requests = [
        Request((i, s, n), prompt, Text(sampling, seed=n), edits_of(v, layer, s, args))
        for i, prompt in enumerate(prompts)
        for s in strengths
        for n in range(args.samples)
    ]
    return lambda: {r.key: list(r.tokens) for r in engine.run(requests)}


def edits_of(v, layer, strength, args) -> tuple[Edit, ...]:
    """Return the row's edit, or none."""
    return (Edit(layer, v, strength, args.positions),) if args.edits else ()


@contextmanager
def steered(loaded: LoadedModel, v: torch.Tensor, layer: int, strength: float, positions: str):
    """Add the vector as a script would: at every position, or at the last one of each forward."""

    def hook(_module, _args, output):
        h = output[0] if isinstance(output, tuple) else output
        delta = (strength * v).to(h)
        if positions == "all":
            h = h + delta
        else:
            h = h.clone()
            h[:, -1] += delta
        return (h, *output[1:]) if isinstance(output, tuple) else h

    handle = loaded.layout.blocks[layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def transformers(loaded: LoadedModel, prompts, v, layer, strengths, args) -> Callable[[], Texts]:
    """Longest prompts first, left padding, one ``generate`` per batch and strength."""
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))

    def batch(indices: list[int], strength: float, found: Texts) -> None:
        width = max(len(prompts[i]) for i in indices)
        ids = torch.zeros((len(indices), width), dtype=torch.long, device=loaded.device)
        mask = torch.zeros_like(ids)
        for line, i in enumerate(indices):
            ids[line, width - len(prompts[i]) :] = torch.tensor(prompts[i])
            mask[line, width - len(prompts[i]) :] = 1
        sampled = {
            "do_sample": True, "temperature": args.temperature, "top_k": 0, "top_p": args.top_p,
        }  # fmt: skip
        with torch.no_grad(), steered(loaded, v, layer, strength, args.positions):
            out = loaded.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=args.max_tokens,
                eos_token_id=sorted(loaded.eos_ids) or None,
                pad_token_id=0,
                num_return_sequences=args.samples,
                **(sampled if args.samples > 1 else {"do_sample": False}),
            )
        for line, row in enumerate(out[:, width:].tolist()):
            ends = [at for at, token in enumerate(row) if token in loaded.eos_ids]
            key = (indices[line // args.samples], strength, line % args.samples)
            found[key] = row[: ends[0] + 1] if ends else row

    def work() -> Texts:
        found: Texts = {}
        size = max(1, args.batch // args.samples)
        for strength in strengths:
            for at in range(0, len(order), size):
                batch(order[at : at + size], strength, found)
        return found

    return work


def compare(args, scale: float) -> Callable[[Texts, Texts], str]:
    """Return what says how two sides' texts agree."""

    def check(ours: Texts, theirs: Texts) -> str:
        if args.samples > 1:
            lengths = [sum(map(len, side.values())) / len(side) for side in (ours, theirs)]
            return f"(x{scale:g}; mean lengths {lengths[0]:.1f} and {lengths[1]:.1f})"
        differ = sum(ours[key] != theirs[key] for key in theirs)
        return f"(x{scale:g} for the strengths not run; {differ} of {len(theirs)} texts differ)"

    return check


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--positions", default="generated", choices=["generated", "all"])
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--strengths", type=int, default=8)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", default="hf", choices=PEERS)
    parser.add_argument("--peer-strengths", type=int)
    parser.add_argument("--peer-alone", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--edits", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    spec = ModelSpec(id=args.model, device="cpu", dtype=args.dtype)
    header(f"sweep {vars(args)}")
    loaded = load_model(resolve(spec))
    prompts = gsm8k_prompts(loaded.renderer, args.prompts)
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(loaded.layout.hidden_size, generator=generator)
    v /= v.norm()
    layer = loaded.layout.num_layers // 2
    strengths = [float(s) for s in torch.linspace(-2, 2, args.strengths)]
    sides: dict[str, Callable[[], Texts]] = {}
    if not args.peer_alone:
        engine = Engine(loaded, max_rows=args.rows)
        sides["trimtab"] = trimtab(engine, prompts, v, layer, strengths, args)
    scale = 1.0
    if args.peer == "off":
        plain = argparse.Namespace(**{**vars(args), "edits": False})
        sides["off"] = trimtab(engine, prompts, v, layer, strengths, plain)
    elif args.peer != "none":
        count = args.peer_strengths or args.strengths
        some = strengths[:: max(1, args.strengths // count)][:count]
        scale = args.strengths / len(some)
        peer = loaded if args.peer_alone else load_model(resolve(spec))
        if args.peer == "hf-packed":
            pack(peer)
        elif args.peer == "hf-contiguous":
            head: nn.Module = peer.layout.lm_head
            head.register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))
        sides[args.peer] = transformers(peer, prompts, v, layer, some, args)
    turns = in_turns(sides, args.repeats, compare(args, scale), loaded.dtype, memory=args.memory)
    if not args.peer_alone:
        report(turns, loaded, scale)


def report(turns, loaded: LoadedModel, scale: float) -> None:
    """Print tokens per second, the scaled ratio and the share of the machine's limit."""
    ours = turns["trimtab"]
    tokens = sum(map(len, ours[0].result.values()))
    for name, some in list(turns.items())[1:]:
        ratios = sorted(b.seconds * scale / a.seconds for a, b in zip(ours, some, strict=True))
        print(f"{name} x {scale:g} / trimtab: median {median(ratios):.2f}x of {ratios}")
    weights = sum(p.numel() for p in loaded.model.parameters())
    shares = [tokens / t.seconds / (t.gflops * 1e9 / (2 * weights)) for t in ours]
    rates = ", ".join(f"{tokens / t.seconds:.0f}" for t in ours)
    print(
        f"trimtab: {tokens} tokens, {rates} tok/s = {', '.join(f'{x:.1%}' for x in shares)}, "
        f"median {median(shares):.1%} of the machine's limit"
    )


if __name__ == "__main__":
    main()
