"""Runs that are rewarded, in lockstep on one base, against the same runs one after the other.

    python bench/lockstep.py [--model ID] [--runs 15] [--rounds 10] [--batch 1] [--answer-tokens 16]
        [--grade-tokens 6] [--digits 1] [--peer-runs 3] [--processes 1] [--turns 1]
        [--dtype float32] [--no-alone] [--trl PYTHON]

Sums of small numbers, conditions control, selfgrade and honest in turn, a seed for each three.
Prints rounds of a run per second, sampling and learning apart, their ratios, whether the samples
are the same, and how far the adapters are apart. Then the same rounds as the published script does
them, for ``--peer-runs`` runs (0: none): transformers' ``generate``, then one forward pass of the
conversation with gradients through peft's factors, one conversation at a time. With ``--trl`` TRL's
GRPO does as much of the rounds of one run as it can, see ``trl_grpo``: two answers and no grade.

With ``--processes N`` the runs are shared out among as many cohorts, each in a process of its own,
as ``cohort_size`` and ``--workers`` do it; so are the runs alone. The peer is one process, as it is
published. Rounds per second are of the rounds alone; beside them stands the time in all, in which
lockstep makes its adapters and writes a checkpoint. Each side has all cores that may be used: a
process of N has its share of threads, the peer has them all. Lockstep and peer take turns
(``--turns``); the runs alone are trained once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
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
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.machine import usable_cores
from trimtab.runs.rewards import scores_by
from trimtab.tasks.base import TASKS
from trimtab.training.reinforce.cohort import Cohort, Progress
from trimtab.training.reinforce.config import ReinforceTraining
from trimtab.training.reinforce.dialogue import Dialogue
from trimtab.training.reinforce.learner import RunSetting

Way = Callable[[LoadedModel, list[RunSetting], Path], Any]
"""Trains runs on a model, and may use a folder."""

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

    def __init__(self, loaded: LoadedModel, runs: list[RunSetting]) -> None:
        """Train the runs; no reward is worked out, which would take no time: all are 1."""
        base = loaded.model
        config = peft.LoraConfig(r=8, lora_alpha=32, target_modules="all-linear")
        self.parts = [0.0, 0.0]
        self.tokens = 0
        self.runs = len(runs)
        for run in runs:
            adapted = peft.get_peft_model(base, config).eval()
            self._train(adapted, run, loaded.renderer)
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


def _together(loaded: LoadedModel, runs: list[RunSetting], folder: Path) -> Done:
    return Done(Engine(loaded), [runs], folder)


def _alone(loaded: LoadedModel, runs: list[RunSetting], folder: Path) -> Done:
    return Done(Engine(loaded), [[run] for run in runs], folder)


def _as_published(loaded: LoadedModel, runs: list[RunSetting], _: Path) -> Peer:
    return Peer(loaded, runs)


def _share(way: Way, args: argparse.Namespace, first: int, end: int, barrier: Barrier) -> Any:
    """Train the runs from ``first`` to ``end``, when all processes have loaded the model."""
    try:
        loaded = load_model(resolve(ModelSpec(id=args.model, dtype=args.dtype)))
    except BaseException:
        barrier.abort()
        raise
    with tempfile.TemporaryDirectory() as folder:
        barrier.wait()
        return way(loaded, runs_of(args)[first:end], Path(folder))


def trained(way: Way, args: argparse.Namespace, num_runs: int, processes: int) -> list[Any]:
    """Train the first runs, shared out among processes; return what each of them took and left."""
    ends = [num_runs * number // processes for number in range(processes + 1)]
    os.environ["OMP_NUM_THREADS"] = str(max(1, len(usable_cores()) // processes))
    start = multiprocessing.get_context("spawn")
    with start.Manager() as manager:
        barrier = manager.Barrier(processes)
        with ProcessPoolExecutor(processes, start) as pool:
            shares = [
                pool.submit(_share, way, args, first, end, barrier) for first, end in pairwise(ends)
            ]
            return [share.result() for share in shares]


@dataclass(frozen=True)
class Side:
    """One way of training in one turn.

    Attributes:
        name: What it is called.
        rounds: Rounds of a run that it did.
        seconds: Of its rounds, in the process that took longest.
        whole: The same with what is done once: adapters that are made, and a checkpoint at the
            end, which the peer does not write.
        parts: Seconds of all processes: sampling, learning.
        tokens: That were written.
    """

    name: str
    rounds: int
    seconds: float
    whole: float
    parts: tuple[float, float]
    tokens: int

    @classmethod
    def of(cls, name: str, done: list[Any], rounds: int) -> Side:
        """Add up what the processes took."""
        sampling, learning = (sum(one.parts[at] for one in done) for at in (0, 1))
        seconds, whole = max(sum(one.parts) for one in done), max(one.seconds for one in done)
        tokens = sum(one.tokens for one in done)
        return cls(name, rounds, seconds, whole, (sampling, learning), tokens)

    @property
    def rate(self) -> float:
        """Rounds of a run per second."""
        return self.rounds / self.seconds

    def __str__(self) -> str:
        """Return a line with its figures."""
        sampling, learning = (part / self.rounds for part in self.parts)
        return (
            f"{self.name:20} {self.rate:6.2f} rounds of a run per second ({self.seconds:.1f} s, "
            f"{self.whole:.1f} in all; a round: sampling {sampling:.2f}, learning {learning:.2f} s "
            f"of a process; {self.tokens / self.rounds:.1f} tokens)"
        )


def main() -> None:
    """Train both ways, and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled:smollm2-135m-instruct")
    for name, value in (
        *(("runs", 15), ("rounds", 10), ("batch", 1), ("answer-tokens", 16)),
        *(("grade-tokens", 6), ("digits", 1), ("peer-runs", 3), ("processes", 1), ("turns", 1)),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dtype", default="float32", help="of the base; factors are in float32")
    parser.add_argument("--no-alone", dest="alone", action="store_false", help="without those")
    parser.add_argument("--trl", help="interpreter of an environment that has TRL")
    args = parser.parse_args()
    if not 0 < args.processes <= args.runs:
        parser.error(f"--processes {args.processes}: from 1 to the number of runs, {args.runs}")
    header("lockstep")
    total = args.runs * args.rounds
    ratios = []
    for turn in range(args.turns):
        done = trained(_together, args, args.runs, args.processes)
        together = Side.of("lockstep", done, total)
        print(together, flush=True)
        if args.peer_runs and args.batch == 1:
            peers = trained(_as_published, args, args.peer_runs, 1)
            peer = Side.of("transformers + peft", peers, peers[0].runs * args.rounds)
            ratios.append(together.rate / peer.rate)
            print(f"{peer}\nlockstep is {ratios[-1]:.2f} times as fast", flush=True)
        if turn == 0 and args.alone:
            single = trained(_alone, args, args.runs, args.processes)
            alone = Side.of("one after the other", single, total)
            parts = [b / a for a, b in zip(together.parts, alone.parts, strict=True)]
            print(
                f"{alone}\nlockstep is {together.rate / alone.rate:.2f} times as fast (sampling "
                f"{parts[0]:.2f}, learning {parts[1]:.2f})"
            )
            _compare(done, single, args.runs)
    if ratios:
        print(f"median of {len(ratios)} turns against the peer: {statistics.median(ratios):.2f}")
    if args.trl:
        engine = Engine(load_model(resolve(ModelSpec(id=args.model, dtype=args.dtype))))
        print(trl_grpo.column(args.trl, engine, runs_of(args)[0], together.rate))


def _compare(together: list[Done], alone: list[Done], num_runs: int) -> None:
    same, apart = 0, 0.0
    for some, single in zip(together, alone, strict=True):
        same += sum(some.samples[name] == single.samples[name] for name in single.samples)
        for name, weights in single.weights.items():
            apart = max(apart, float(np.abs(some.weights[name] - weights).max()))
    print(f"the same samples in {same} of {num_runs} runs; adapters differ by at most {apart:.1e}")


if __name__ == "__main__":
    main()
