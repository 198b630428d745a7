"""The sweep against vLLM on a CPU, which does not steer: it writes the same number of plain texts.

    python bench/vllm_cpu.py --peer-python VENV/bin/python [--strengths 8] [--prompts 64]
        [--max-tokens 96] [--dtype bfloat16] [--repeats 3]

vLLM wants an environment of its own (``vllm-cpu``, without its torchvision, which breaks the
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Listener
from pathlib import Path

import torch
from machine import gsm8k_prompts, header, in_turns

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit, Request, Text
from trimtab.models.load import LoadedModel, load_model, resolve


def steered(
    loaded: LoadedModel, prompts: list[tuple[int, ...]], args: argparse.Namespace
) -> Callable[[], list[list[int]]]:
    """Return our side: all strengths of all prompts in one call."""
    engine = Engine(loaded)
    v = torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(0))
    v /= v.norm()
    layer = loaded.layout.num_layers // 2
    strengths = [0.0] if args.strengths == 1 else torch.linspace(-2, 2, args.strengths).tolist()
    sampling = SamplingParams(max_tokens=args.max_tokens)
    requests = [
        Request((i, s), prompt, Text(sampling), (Edit(layer, v, s),) if s else ())
        for i, prompt in enumerate(prompts)
        for s in strengths
    ]

    def work() -> list[list[int]]:
        found = {result.key: list(result.tokens) for result in engine.run(requests)}
        return [found[request.key] for request in requests]

    return work


def compare(strengths: int) -> Callable[[list[list[int]], list[list[int]]], str]:
    """Return what says how the sides agree."""

    def check(ours: list[list[int]], theirs: list[list[int]]) -> str:
        counts = [sum(map(len, side)) for side in (ours, theirs)]
        said = f"({counts[0]} and {counts[1]} tokens"
        if strengths == 1:
            said += f"; {sum(a != b for a, b in zip(ours, theirs, strict=True))} texts differ"
        return said + ")"

    return check


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--strengths", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-python", default=sys.executable)
    args = parser.parse_args()
    loaded = load_model(resolve(ModelSpec(id=args.model, device="cpu", dtype=args.dtype)))
    header(f"vllm {vars(args)}")
    prompts = gsm8k_prompts(loaded.renderer, args.prompts)
    with tempfile.TemporaryDirectory() as folder:
        loaded.model.save_pretrained(folder)
        address = str(Path(folder, "socket"))
        settings = [folder, args.dtype, str(args.max_tokens), *map(str, sorted(loaded.eos_ids))]
        command = [args.peer_python, str(Path(__file__).with_name("vllm_peer.py")), address]
        with (
            Listener(address) as listener,
            subprocess.Popen(command + settings, start_new_session=True) as peer,
            listener.accept() as connection,
        ):
            connection.recv()
            os.killpg(peer.pid, signal.SIGSTOP)
            many = [prompt for prompt in prompts for _ in range(args.strengths)]

            def theirs() -> list[list[int]]:
                # waiting, vLLM keeps its cores busy: it sleeps while it is not its turn
                os.killpg(peer.pid, signal.SIGCONT)
                connection.send(many)
                texts: list[list[int]] = connection.recv()
                os.killpg(peer.pid, signal.SIGSTOP)
                return texts

            sides = {"trimtab": steered(loaded, prompts, args), "vllm": theirs}
            in_turns(sides, args.repeats, compare(args.strengths), loaded.dtype)
            os.killpg(peer.pid, signal.SIGCONT)
            connection.send(None)
            peer.wait()


if __name__ == "__main__":
    main()
