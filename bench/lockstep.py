"""Runs that are rewarded, in lockstep on one base, against the same runs one after the other.

    python bench/lockstep.py [--model ID] [--runs 15] [--rounds 10] [--batch 1] [--answer-tokens 16]
        [--grade-tokens 6] [--digits 1] [--peer-runs 3] [--processes 1] [--dtype float32]
        [--trl PYTHON]

Sums of small numbers, conditions control, selfgrade and honest in turn, a seed for each three.
Prints rounds of a run per second, sampling and learning apart, their ratios, whether the samples
are the same, and how far the adapters are apart. Then the same rounds as the published script does
them, for ``--peer-runs`` runs (0: none): transformers' ``generate``, then one forward pass of the
conversation with gradients through peft's factors, one conversation at a time. With ``--trl`` TRL's
GRPO does as much of the rounds of one run as it can, see ``trl_grpo``: two answers and no grade.

With ``--processes N`` the runs are shared out among as many cohorts, each in a process of its own,
as ``cohort_size`` and ``--workers`` do it; so are the runs alone, and the peer trains
``--peer-runs`` in every process. ``OMP_NUM_THREADS`` is the threads of each.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import numpy.typing as npt
import peft
import torch
import trl_grpo
from machine import header

from trimtab.core.spec import Component, ModelSpec
from trimtab.engine.engine import Engine
from trimtab.models.chat import Renderer
from trimtab.models.load import load_model, resolve
from trimtab.runs.rewards import scores_by
from trimtab.tasks.base import TASKS
from trimtab.training.reinforce.cohort import Cohort, Progress
from trimtab.training.reinforce.config import ReinforceTraining
from trimtab.training.reinforce.dialogue import Dialogue
from trimtab.training.reinforce.learner import RunSetting

CONDITIONS = ("control", "selfgrade", "honest")


class Done:
    """What some cohorts took and left."""

    def __init__(self, engine: Engine, cohorts: list[list[RunSetting]], folder: Path) -> None:
        """Train the cohorts one after the other."""
        self.parts = [0.0, 0.0]
        self.samples: dict[str, list[object]] = {}
        self.weights: dict[str, npt.NDArray[np.float32]] = {}
        self.tokens = 0
        start = time.perf_counter()
        for number, runs in enumerate(cohorts):
            cohort = Cohort(engine, runs, folder / str(number), progress=self._took)
            ended = cohort.run()
            for learner in cohort.learners:
                name = learner.run.name
                self.tokens += sum(
                    e["answer"]["tokens"] + e["grade"]["tokens"]
                    for row in ended[name].outcome.rows
                    for e in row["episodes"]
                )
                flat = [p.detach().cpu().flatten() for p in learner.module.parameters()]
                # an array: a tensor would need its process when it is read by another
                self.weights[name] = torch.cat(flat).float().numpy()
                self.samples[name] = [
                    [(e["item"], e["answer"]["text"], e["grade"]["text"]) for e in row["episodes"]]
                    for row in ended[name].outcome.rows
                ]
        self.seconds = time.perf_counter() - start

    def _took(self, progress: Progress) -> None:
        self.parts = [a + b for a, b in zip(self.parts, progress.seconds, strict=True)]


class Peer:
    """One run after the other in transformers and peft, a conversation at a time."""

    def __init__(self, spec: ModelSpec, runs: list[RunSetting], renderer: Renderer) -> None:
        """Train the runs; no reward is worked out, which would take no time: all are 1."""
        base = load_model(resolve(spec)).model
        config = peft.LoraConfig(r=8, lora_alpha=32, target_modules="all-linear")
        self.parts = [0.0, 0.0]
        self.tokens = 0
        self.runs = len(runs)
        for run in runs:
            adapted = peft.get_peft_model(base, config).eval()
            self._train(adapted, run, renderer)
            base = adapted.unload()
        self.seconds = sum(self.parts)

    def _train(self, model: peft.PeftModel, run: RunSetting, renderer: Renderer) -> None:
        settings = run.settings
        dialogue = Dialogue(renderer, run.rendering, settings.request)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate)
        torch.manual_seed(settings.seed)
        for number in range(settings.rounds):
            start = time.perf_counter()
            prompt = list(dialogue.task(run.samples[number % len(run.samples)]))
            answered = self._written(model, prompt, settings.answer_tokens)
            asked = answered + list(dialogue.request(answered[len(prompt) :]))
            graded = self._written(model, asked, settings.grade_tokens)
            middle = time.perf_counter()
            ids = torch.tensor([graded])
            logprobs = model(ids).logits[0, :-1].float().log_softmax(-1)
            drawn = logprobs.gather(1, ids[0, 1:, None])[:, 0]
            places = [*range(len(prompt), len(answered)), *range(len(asked), len(graded))]
            loss = -drawn[torch.tensor(places) - 1].mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            optimiser.zero_grad()
            self.parts[0] += middle - start
            self.parts[1] += time.perf_counter() - middle
            self.tokens += len(places)

    def _written(self, model: peft.PeftModel, prompt: list[int], most: int) -> list[int]:
        ids = torch.tensor([prompt])
        with torch.no_grad():
            found = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=most,
            )
        return found[0].tolist()


def runs_of(args: argparse.Namespace) -> list[RunSetting]:
    """Return the runs, which answer the same problems in orders of their own."""
    task = TASKS.build(
        "arithmetic", {"forms": ["sum"], "digits": args.digits, "steps": 1, "count": 40}
    )
    samples = task.samples("fit")
    return [
        RunSetting(
            f"{CONDITIONS[number % 3]}-{number // 3}",
            ReinforceTraining(
                condition=CONDITIONS[number % 3],
                rounds=args.rounds,
                batch=args.batch,
                answer_tokens=args.answer_tokens,
                grade_tokens=args.grade_tokens,
                learning_rate=1e-4,
                seed=number // 3,
            ),
            samples,
            task.rendering,
            scores_by(Component(name="number")),
            "number",
            0,
        )
        for number in range(args.runs)
    ]


class Share:
    """What one process trains: its part of the runs, in each way that is measured."""

    def __init__(self, args: argparse.Namespace, number: int, barrier: Barrier) -> None:
        """Load the base model; the peer loads its own."""
        spec = ModelSpec(id=args.model, dtype=args.dtype)
        ends = [args.runs * n // args.processes for n in (number, number + 1)]
        self._runs = runs_of(args)[slice(*ends)]
        self._engine = Engine(load_model(resolve(spec)))
        self._barrier = barrier
        with tempfile.TemporaryDirectory() as folder:
            self.together = self._after_all(
                lambda: Done(self._engine, [self._runs], Path(folder) / "together")
            )
            self.alone = self._after_all(
                lambda: Done(self._engine, [[run] for run in self._runs], Path(folder) / "alone")
            )
        wanted = args.peer_runs if args.batch == 1 else 0
        some = self._runs[:wanted]
        self.peer = self._after_all(lambda: Peer(spec, some, self._engine.renderer))

    def _after_all(self, train: Callable[[], Any]) -> Any:
        """Start when all processes are there."""
        self._barrier.wait()
        return train()


def _share(args: argparse.Namespace, number: int, barrier: Barrier) -> tuple[Done, Done, Peer]:
    try:
        share = Share(args, number, barrier)
    except BaseException:
        barrier.abort()
        raise
    return share.together, share.alone, share.peer


def measured(args: argparse.Namespace) -> list[tuple[Done, Done, Peer]]:
    """Train in all processes at a time; return what each took and left."""
    start = multiprocessing.get_context("spawn")
    with start.Manager() as manager:
        barrier = manager.Barrier(args.processes)
        with ProcessPoolExecutor(args.processes, start) as pool:
            shares = [pool.submit(_share, args, n, barrier) for n in range(args.processes)]
            return [share.result() for share in shares]


def main() -> None:
    """Train both ways, and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    for name, value in (
        *(("runs", 15), ("rounds", 10), ("batch", 1), ("answer-tokens", 16)),
        *(("grade-tokens", 6), ("digits", 1), ("peer-runs", 3), ("processes", 1)),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtype", default="float32", help="of the base; factors are in float32")
    parser.add_argument("--trl", help="interpreter of an environment that has TRL")
    args = parser.parse_args()
    if not 0 < args.processes <= args.runs:
        parser.error(f"--processes {args.processes}: from 1 to the number of runs, {args.runs}")
    header("lockstep")
    shares = measured(args)
    total = args.runs * args.rounds
    seconds, parts = {}, {}
    for at, name in enumerate(("lockstep", "one after the other")):
        done = [share[at] for share in shares]
        seconds[name] = max(one.seconds for one in done)
        parts[name] = [sum(column) for column in zip(*(one.parts for one in done), strict=True)]
        sampling, learning = parts[name]
        print(
            f"{name:20} {total / seconds[name]:7.2f} rounds of a run per second "
            f"({seconds[name]:.1f} s; in all processes sampling {sampling:.1f}, learning "
            f"{learning:.1f})"
        )
    together, alone = seconds.values()
    ratios = [b / a for a, b in zip(*parts.values(), strict=True)]
    print(f"ratio {alone / together:.2f} (sampling {ratios[0]:.2f}, learning {ratios[1]:.2f})")
    _compare(shares, args)
    if args.peer_runs and args.batch == 1:
        _beside_peer([share[2] for share in shares], shares, args)
    if args.trl:
        spec = ModelSpec(id=args.model, dtype=args.dtype)
        engine = Engine(load_model(resolve(spec)))
        print(trl_grpo.column(args.trl, engine, runs_of(args)[0], total / together))


def _compare(shares: list[tuple[Done, Done, Peer]], args: argparse.Namespace) -> None:
    same, apart = 0, 0.0
    for together, alone, _ in shares:
        same += sum(together.samples[name] == alone.samples[name] for name in alone.samples)
        for name, weights in alone.weights.items():
            apart = max(apart, float(np.abs(together.weights[name] - weights).max()))
    print(f"the same samples in {same} of {args.runs} runs; adapters differ by at most {apart:.1e}")


def _beside_peer(
    peers: list[Peer], shares: list[tuple[Done, Done, Peer]], args: argparse.Namespace
) -> None:
    done = sum(peer.runs for peer in peers) * args.rounds
    rate = done / max(peer.seconds for peer in peers)
    sampling, learning = (sum(peer.parts[at] for peer in peers) / done for at in (0, 1))
    ours = args.runs * args.rounds / max(share[0].seconds for share in shares)
    written = sum(share[0].tokens for share in shares) / (args.runs * args.rounds)
    print(
        f"transformers + peft  {rate:7.2f} rounds of a run per second (a round: sampling "
        f"{sampling:.2f} s, learning {learning:.2f} s of a process); lockstep is "
        f"{ours / rate:.2f} times as fast; tokens written in a round: "
        f"{sum(peer.tokens for peer in peers) / done:.1f} here, {written:.1f} in lockstep"
    )


if __name__ == "__main__":
    main()
