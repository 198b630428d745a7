"""A steered sweep on a GPU against transformers' ``generate`` with a hook, once per strength.

    python bench/gpu.py [--model ID | --tiny] [--dtype bfloat16] [--device cuda] [--rows 64]
        [--prompts 64] [--strengths 4] [--max-tokens 128] [--batch 64] [--repeats 3] [--blocks 32]

Without ``--model`` a model of the shape of Llama-3.1-8B with random weights, so nothing is
downloaded; texts do not end, so all have the same length. ``--tiny`` runs the whole script on a CPU
in a minute, on a random model that says nothing about speed. Greedy, a random vector in the middle
block, 64 rows at a time. Prints, each from turns within this process:

- how much faster the sweep is than the peer, and how many texts agree;
- the same against trimtab's own steps without recording, which shows what CUDA graphs bring;
- what edits cost: the same rows with and without them;
- decode tokens per second (two lengths of text; their difference is decode alone) as a share of the
  limit: at every step each weight is read once, at the bandwidth that is measured here;
- in float32, on a few blocks of the same shape, whether all texts agree.
"""

import argparse
import statistics
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from machine import bandwidth, gsm8k_prompts, header, in_turns, timed
from sweep import Texts, transformers
from transformers import AutoConfig, AutoModelForCausalLM

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit, Request, Result, Text
from trimtab.engine.writing.decode import write
from trimtab.engine.writing.stepping import why_not, write_static
from trimtab.models.chat import Renderer
from trimtab.models.layout import find_layout
from trimtab.models.load import LoadedModel, ResolvedModel, load_model, resolve
from trimtab.models.memory import card_from_config
from trimtab.models.tiny import tiny_tokenizer

ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LARGE = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_parameters": ROPE,
    "tie_word_embeddings": False,
}
TINY = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
}

STRENGTHS = [-1.0, 0.0, 1.0]

Run = Callable[[list[Request]], Iterator[Result]]


def random_llama(sizes: dict, blocks: int, dtype: str, device: str) -> LoadedModel:
    """Return a Llama with random weights, made where it is to run, whose texts never end."""
    config = AutoConfig.for_model("llama", num_hidden_layers=blocks, **sizes)
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.generation_config.eos_token_id = None
    model.eval().requires_grad_(False)
    layout = find_layout(model)
    card = card_from_config(config.to_dict(), "the random model")
    tokenizer = tiny_tokenizer()
    return LoadedModel(
        resolved=ResolvedModel(ModelSpec(id="random", device=device, dtype=dtype), "random", card),
        model=model,
        tokenizer=tokenizer,
        layout=layout,
        device=layout.devices[0],
        dtype=getattr(torch, dtype),
        renderer=Renderer(tokenizer, ()),
        eos_ids=frozenset(),
    )


def load(args: Namespace) -> tuple[LoadedModel, list[tuple[int, ...]]]:
    """Return the model and its prompts."""
    if args.model:
        spec = ModelSpec(id=args.model, device=args.device, dtype=args.dtype)
        loaded = replace(load_model(resolve(spec)), eos_ids=frozenset())
        loaded.model.generation_config.eos_token_id = None
        return loaded, gsm8k_prompts(loaded.renderer, args.prompts)
    sizes = TINY if args.tiny else LARGE
    loaded = random_llama(sizes, args.blocks, args.dtype, args.device)
    return loaded, random_prompts(sizes["vocab_size"], args.prompts)


def random_prompts(vocabulary: int, count: int) -> list[tuple[int, ...]]:
    """Return prompts as long as GSM8K's questions, 42 to 107 tokens."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(42, 108, (count,), generator=generator).tolist()
    return [
        tuple(torch.randint(10, vocabulary, (length,), generator=generator).tolist())
        for length in lengths
    ]


def requests_of(prompts, v, layer, strengths, tokens: int, edits: bool = True) -> list[Request]:
    """Return one request per prompt and strength."""
    want = Text(SamplingParams(max_tokens=tokens))
    return [
        Request((i, s, 0), prompt, want, (Edit(layer, v, s),) if edits else ())
        for i, prompt in enumerate(prompts)
        for s in strengths
    ]


def texts(run: Run, requests: list[Request]) -> Texts:
    """Return all tokens by request."""
    with torch.no_grad():
        return {result.key: list(result.tokens) for result in run(requests)}


def runners(loaded: LoadedModel, rows: int) -> tuple[Run, Run]:
    """Return trimtab's way of running on a GPU, and the same engine's without recorded steps."""
    engine = Engine(loaded, max_rows=rows)
    head = engine._head

    def by_steps(requests: list[Request]) -> Iterator[Result]:
        return write(loaded, head, requests, engine.limits)

    def fixed(requests: list[Request]) -> Iterator[Result]:
        return write_static(loaded, head, requests, engine.limits)

    reason = why_not(loaded)
    if reason is None:
        return engine.run, by_steps
    print(f"no CUDA graphs ({reason}): steps of fixed shape run as they are")
    return fixed, by_steps


def bytes_per_step(loaded: LoadedModel) -> int:
    """Return the bytes of all weights that a step reads: of an embedding only some rows."""
    embedding = loaded.model.get_input_embeddings().weight
    tied = loaded.model.get_output_embeddings().weight is embedding
    total = sum(p.nbytes for p in loaded.model.parameters())
    return total if tied else total - embedding.nbytes


def decode_share(loaded: LoadedModel, run: Run, requests_at, args: Namespace) -> None:
    """Print decode tokens per second and the share of the limit that the weights set."""
    long, short = args.max_tokens, args.max_tokens // 2
    wave = {tokens: requests_at(tokens)[: args.rows] for tokens in (long, short)}
    seconds = {
        tokens: statistics.median(
            timed(lambda some=some: texts(run, some)).seconds for _ in range(args.repeats)
        )
        for tokens, some in wave.items()
    }
    rows = len(wave[long])
    rate = rows * (long - short) / (seconds[long] - seconds[short])
    speed = bandwidth(loaded.device)
    limit = rows * speed * 1e9 / bytes_per_step(loaded)
    print(
        f"decode, {rows} rows: {rate:.0f} tok/s, {1e3 * rows / rate:.2f} ms a step = "
        f"{rate / limit:.0%} of {limit:.0f} tok/s (weights {bytes_per_step(loaded) / 1e9:.2f} GB "
        f"at {speed:.0f} GB/s)"
    )


def agreement(ours: Texts, theirs: Texts) -> str:
    """Return how far texts agree: number precision decides near-ties, and texts part there."""
    common = []
    for key, tokens in theirs.items():
        same = [a == b for a, b in zip(ours[key], tokens, strict=True)]
        common.append(same.index(False) if False in same else len(same))
    equal = sum(ours[key] == theirs[key] for key in theirs)
    length = len(next(iter(theirs.values())))
    return (
        f"{equal} of {len(theirs)} texts agree, on average the first "
        f"{statistics.mean(common):.0f} of {length} tokens"
    )


def exactness(args: Namespace) -> None:
    """Print how texts of a few blocks in float32 agree, on the same path."""
    sizes = TINY if args.tiny else LARGE
    loaded = random_llama(sizes, 2, "float32", args.device)
    run, _ = runners(loaded, args.rows)
    prompts = random_prompts(sizes["vocab_size"], min(16, args.prompts))
    v = direction(loaded)
    small = Namespace(**{**vars(args), "max_tokens": min(32, args.max_tokens)})
    found = texts(run, requests_of(prompts, v, 0, STRENGTHS, small.max_tokens))
    theirs = transformers(loaded, prompts, v, 0, STRENGTHS, small)()
    print(f"float32, 2 blocks: {agreement(found, theirs)}")


def direction(loaded: LoadedModel) -> torch.Tensor:
    """Return a random unit vector."""
    v = torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(0))
    return v / v.norm()


def parse() -> Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--strengths", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=32)
    args = parser.parse_args()
    if args.tiny:
        small = {"device": "cpu", "dtype": "float32", "blocks": 4, "prompts": 16, "batch": 16}
        args = Namespace(**{**vars(args), **small, "rows": 16, "max_tokens": 32, "repeats": 2})
    args.samples, args.positions = 1, "generated"
    return args


def main() -> None:
    """Measure."""
    args = parse()
    header(f"gpu {vars(args)}")
    if args.device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device, so there is nothing to measure; --tiny runs the script on a CPU.")
        return
    measure(args)
    exactness(args)


def measure(args: Namespace) -> None:
    """Measure speed on the whole model."""
    loaded, prompts = load(args)
    run, by_steps = runners(loaded, args.rows)
    v, layer = direction(loaded), loaded.layout.num_layers // 2
    strengths = [float(s) for s in torch.linspace(-2, 2, args.strengths)]

    def requests_at(tokens: int, edits: bool = True) -> list[Request]:
        return requests_of(prompts, v, layer, strengths, tokens, edits)

    sweep, plain = requests_at(args.max_tokens), requests_at(args.max_tokens, edits=False)
    # libraries load their kernels at their first use: on both sides before anything is timed
    texts(run, sweep[: args.rows])
    short = Namespace(**{**vars(args), "max_tokens": 4})
    transformers(loaded, prompts[: args.batch], v, layer, strengths[:1], short)()
    print("sweep")
    turns = in_turns(
        {
            "trimtab": lambda: texts(run, sweep),
            "generate + hook": transformers(loaded, prompts, v, layer, strengths, args),
            "without recording": lambda: texts(by_steps, sweep),
        },
        args.repeats,
        agreement,
    )
    best = min(turn.seconds for turn in turns["trimtab"])
    tokens = sum(map(len, turns["trimtab"][0].result.values()))
    print(f"trimtab: {tokens} tokens, {tokens / best:.0f} tok/s, prompts included")
    print("edits")
    edited = {"edits": lambda: texts(run, sweep), "no edits": lambda: texts(run, plain)}
    pairs = zip(*in_turns(edited, args.repeats).values(), strict=True)
    cost = statistics.median(a.seconds / b.seconds for a, b in pairs) - 1
    print(f"edits cost {cost:+.1%}")
    decode_share(loaded, run, requests_at, args)
    if loaded.device.type == "cuda":
        print(f"peak memory of the device {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
