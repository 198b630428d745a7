"""Runs that learn side by side on one frozen base.

Every round all answers of all runs are written in one batch, then all grades, each row with its own
run's adapter; then all conversations are computed in one forward and one backward pass, or in as
few as memory allows. A run does what it would do alone: its samples come from its own streams, and
gradients of one never reach another. A run that is not finite is skipped, rolled back and, at last,
given up, while the others go on.

Checkpoints of all runs belong together. ``cohort.json`` says which: it is written when all are
there, so that a cohort that is killed goes on with all runs in the same round, in the same batches.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trimtab.core.errors import ModelError, NonFiniteError, StoreError, is_out_of_memory
from trimtab.core.fences import Fence, unfenced
from trimtab.core.records import read_json, write_json
from trimtab.engine.batching.allocator import give_back
from trimtab.engine.conversations import Conversations
from trimtab.engine.reading.divergence import drawn_tokens
from trimtab.engine.reading.likelihood import Learned
from trimtab.engine.request import Request, TextResult
from trimtab.models.finite import are_finite
from trimtab.training.course import Batch, Outcome
from trimtab.training.parts import parts_of
from trimtab.training.reinforce.dialogue import Written
from trimtab.training.reinforce.learner import Learner, Looks, RunSetting
from trimtab.training.reinforce.rounds import mismatches
from trimtab.training.reinforce.timings import Timings

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine

_log = logging.getLogger(__name__)

_MARK = "cohort.json"
_MOST_MISMATCH = {torch.float64: 1e-4, torch.float32: 1e-4}
"""Nats per token by which recomputed and sampled log-probabilities may differ."""
_MOST_MISMATCH_OF_SHORT = (0.05, 0.5)
"""The same of shorter formats: of the mean over many tokens, and what one token may add to it.

Roundings differ by about 0.1 nats a token in bfloat16, so a grade of two tokens by more than 0.05.
"""


@dataclass(frozen=True)
class Progress:
    """What is told while a cohort learns.

    Attributes:
        round: Rounds that are done.
        rounds: All of them.
        seconds: What the round took: sampling, and learning.
        runs: The last round of each run that is at work, as the log keeps it.
    """

    round: int
    rounds: int
    seconds: tuple[float, float]
    runs: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        outcome: Of its loop.
        failed: Why it was given up; None if it was not.
    """

    outcome: Outcome
    failed: str | None


class Cohort:
    """Runs that share one base."""

    def __init__(
        self,
        engine: Engine,
        runs: Sequence[RunSetting],
        folder: Path,
        *,
        most_tokens: int = 4096,
        checkpoint_seconds: float = 120.0,
        progress: Callable[[Progress], None] | None = None,
        fence: Fence = unfenced,
    ) -> None:
        """Make the runs.

        Args:
            engine: Of the base model, which stays as it is.
            runs: Their names differ.
            folder: Used by this cohort alone.
            most_tokens: Tokens computed at once; halved when memory is short.
            checkpoint_seconds: Time between two checkpoints; changes no result.
            progress: Called after each round.
            fence: Called before each write to ``folder``; raises if another worker has taken over.
        """
        assert len({run.name for run in runs}) == len(runs), "two runs have one name"
        self._engine = engine
        self._folder = folder
        self._most_tokens = most_tokens
        self._checkpoint_seconds = checkpoint_seconds
        self._progress = progress
        self._fence = fence
        self._marked: dict[str, int] = {}
        self._timings = Timings(folder)
        looks: Looks = {}
        self.learners = [Learner(engine, run, folder / run.name, looks, fence) for run in runs]

    def run(self) -> dict[str, Ended]:
        """Learn to the end, or go on where a killed cohort left off.

        Raises:
            StoreError: The folder can't be written, or holds another cohort.
        """
        devices = {p.device for x in self.learners for p in x.module.parameters() if p.is_cuda}
        with torch.random.fork_rng(devices=sorted(devices, key=str)):
            self._begin()
            saved = time.monotonic()
            while self._at_work():
                self._round()
                if time.monotonic() - saved >= self._checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
        self._save()
        return {x.run.name: Ended(x.loop.end(), x.failed) for x in self.learners}

    def _at_work(self) -> list[Learner]:
        return [x for x in self.learners if x.failed is None and not x.loop.over]

    def _begin(self) -> None:
        path = self._folder / _MARK
        mark = read_json(path) if path.is_file() else {"runs": {}}
        runs = mark["runs"]
        expected = {x.run.name: x.identity for x in self.learners}
        if runs and {name: entry["identity"] for name, entry in runs.items()} != expected:
            raise StoreError(
                f"{self._folder} holds another cohort: its runs, data or settings differ, or "
                "another version of trimtab began it, which drew other samples.",
                hint="Give this one a folder of its own, or delete that one: it starts over then.",
            )
        for learner in self.learners:
            entry = runs.get(learner.run.name, {"round": 0, "failed": None})
            learner.loop.begin(entry["round"])
            learner.failed = entry["failed"]
            self._marked[learner.run.name] = entry["round"]
        self._fence()
        self._timings.cut(max(self._marked.values(), default=0))

    def _save(self) -> None:
        """Write a checkpoint of all runs, then that it is there, and drop the one before."""
        for learner in self.learners:
            # one that is marked must not be replaced: for a moment there would be none
            if learner.loop.step != self._marked[learner.run.name]:
                learner.loop.save()
        runs = {
            x.run.name: {"identity": x.identity, "round": x.loop.step, "failed": x.failed}
            for x in self.learners
        }
        self._fence()
        self._timings.save()
        write_json(self._folder / _MARK, {"runs": runs})
        self._marked = {x.run.name: x.loop.step for x in self.learners}
        for learner in self.learners:
            learner.loop.tidy()

    def _round(self) -> None:
        start = time.monotonic()
        give_back()
        learners = self._at_work()
        batches = {x.run.name: x.loop.batch() for x in learners}
        broken = self._sample(learners, batches)
        middle = time.monotonic()
        sums = self._learn([x for x in learners if x.run.name not in broken])
        for learner in learners:
            name = learner.run.name
            if name in broken:
                _log.warning("run %s, round %d: %s", name, batches[name].step, broken[name])
            self._update(learner, batches[name], sums.get(name, math.nan))
        done, rounds = max(x.loop.step for x in learners), max(x.loop.total for x in learners)
        seconds = middle - start, time.monotonic() - middle
        self._timings.add(done, len(learners), *seconds)
        if self._progress is not None:
            told = {x.run.name: x.note() for x in learners}
            self._progress(Progress(done, rounds, seconds, told))

    def _update(self, learner: Learner, batch: Batch, total: float) -> None:
        """Update one run, or skip its round; give it up after too many."""
        try:
            self._check_mismatch(learner, batch)
            weight = 1.0 if learner.round is None else learner.weight
            note = learner.note()
            alarms = [] if learner.round is None else learner.alarmed(batch.step + 1, note)
            for alarm in alarms:
                _log.warning("run %s, alarm: %s", learner.run.name, alarm["text"])
            told = {"alarms": alarms} if alarms else {}
            learner.loop.apply(batch, total, weight, note | told)
            learner.failed = learner.watch.stopped_by()
        except (NonFiniteError, ModelError) as error:
            learner.failed = error.message
            _log.error("run %s is given up: %s", learner.run.name, error.message)

    def _sample(self, learners: Sequence[Learner], batches: dict[str, Batch]) -> dict[str, str]:
        """Have all runs answer and grade; return why some are not finite, by their names."""
        broken = {x.run.name: "its adapter is not finite" for x in learners if not x.is_finite}
        for learner in learners:
            learner.round = None
        whole = [x for x in learners if x.run.name not in broken]
        kept = Conversations()
        requests = {
            x.run.name: x.answer_requests(batches[x.run.name], conversations=kept) for x in whole
        }
        answers = self._write(requests, broken)
        requests = {
            name: x.grade_requests(batches[name], answers[name], conversations=kept)
            for x in whole
            for name in [x.run.name]
            if name in answers
        }
        grades = self._write(requests, broken)
        for learner in whole:
            name = learner.run.name
            if name in grades:
                learner.settle(batches[name], answers[name], grades[name])
        return broken

    def _write(
        self, requests: dict[str, list[Request]], broken: dict[str, str]
    ) -> dict[str, list[Written]]:
        """Return what was written for each run; a run that is not finite is left out and noted.

        Where the batch is not finite each run writes by itself: rows that are computed beside one
        that is not finite may be no more so.
        """
        try:
            return self._written(requests)
        except NonFiniteError:
            found: dict[str, list[Written]] = {}
        for name, some in requests.items():
            try:
                found |= self._written({name: some})
            except NonFiniteError as error:
                broken[name] = error.message
        return found

    def _written(self, requests: dict[str, list[Request]]) -> dict[str, list[Written]]:
        asked = [request for some in requests.values() for request in some]
        found = {result.key: result for result in self._engine.run(asked)}
        return {
            name: [self._of_result(found[request.key]) for request in some]
            for name, some in requests.items()
        }

    def _of_result(self, result: Any) -> Written:
        assert isinstance(result, TextResult)
        return Written.of(result, self._engine.renderer)

    def _learn(self, learners: Sequence[Learner]) -> dict[str, float]:
        """Gather the gradients of all runs; return the summed loss of each.

        Those that are not finite are gathered again for each run by itself: what pads a row in
        attention is another row's, and 0 times NaN is NaN.
        """
        sums = self._within_memory(learners)
        suspects = [x for x in learners if not (math.isfinite(sums[x.run.name]) and _sound(x))]
        for learner in suspects if len(learners) > 1 else ():
            sums |= self._within_memory([learner])
        return sums

    def _within_memory(self, learners: Sequence[Learner]) -> dict[str, float]:
        while True:
            try:
                return self._gradients(learners)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self._most_tokens < 2:
                    raise
            self._most_tokens //= 2
            _log.warning("memory is short: %d tokens at once from now on", self._most_tokens)

    def _gradients(self, learners: Sequence[Learner]) -> dict[str, float]:
        owners: list[tuple[Learner, int]] = []
        rows: list[Learned] = []
        for learner in learners:
            learner.module.zero_grad(set_to_none=True)
            some = learner.rows()
            owners += [(learner, number) for number in range(len(some))]
            rows += some
        sums = {x.run.name: 0.0 for x in learners}
        for part in parts_of(rows, range(len(rows)), self._most_tokens):
            drawn_of = drawn_tokens(
                self._engine.loaded,
                self._engine.head,
                [rows[i] for i in part],
                penalised=any(owners[i][0].penalised for i in part),
            )
            losses = []
            for i, drawn in zip(part, drawn_of, strict=True):
                learner, number = owners[i]
                loss = learner.learn(number, drawn)
                if loss is not None:
                    losses.append(loss)
                    sums[learner.run.name] += float(loss.detach())
            if losses:
                torch.stack(losses).sum().backward()
        for learner in learners:
            # beside others a run gets a gradient of 0, by which AdamW would move
            if not learner.learns:
                learner.module.zero_grad(set_to_none=True)
        return sums

    def _check_mismatch(self, learner: Learner, batch: Batch) -> None:
        """Raise ModelError if what is learned from is not what was sampled from."""
        if learner.round is None:
            return
        exact = _MOST_MISMATCH.get(self._engine.loaded.dtype)
        mean, one = _MOST_MISMATCH_OF_SHORT if exact is None else (exact, 0.0)
        for found, tokens in mismatches(learner.round, learner.settings.grader == "self"):
            most = mean + one / math.sqrt(tokens)
            if abs(found) > most:
                raise ModelError(
                    f"In round {batch.step} the log-probabilities that are learned from differ "
                    f"from those of sampling by {abs(found):.2g} nats per token, and {most:.2g} "
                    "are allowed.",
                    hint="Run in float32, or report it with the model's name.",
                )


def _sound(learner: Learner) -> bool:
    """Whether all gradients that there are are finite."""
    grads = [p.grad for p in learner.loop.trained.values() if p.grad is not None]
    return are_finite(grads)
