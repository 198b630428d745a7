"""What an adapter is rewarded for, how, and for how long. No torch."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from trimtab.core.errors import did_you_mean
from trimtab.core.spec import Component, Spec
from trimtab.core.training import Training
from trimtab.core.types import Sample
from trimtab.core.workload import Workload, tokens_of
from trimtab.text.grades import REQUESTS, SCALES, GradeScale, ScaleName
from trimtab.training.reinforce.alarms import NAMES, AlarmConfig
from trimtab.training.reinforce.direction import GradeDirection

Condition = Literal["control", "selfgrade", "honest"]
Credit = Literal["all", "answer", "grade"]
Aggregation = Literal["mean_all", "per_segment", "sum", "constant_length"]

VERSION = 2
"""Part of every key; raise it when the same settings train another adapter."""


def _by_name(judge: Component) -> JsonValue:
    return {"name": judge.name, "config": judge.config} if judge.config else judge.name


JudgeName = Annotated[Component, PlainSerializer(_by_name)]
"""A judge, written as its name alone where it has no settings."""

_NEED_GROUPS = ("rloo", "group_norm")


class BaselineConfig(Spec):
    """What is taken off a reward before it is learned from.

    Attributes:
        kind: ``ema``: a running mean of the rewards of earlier rounds. ``rloo``: the mean of the
            other samples of the same item. ``batch_mean``: of the round. ``group_norm``: the mean
            of the item's samples, and the rest is divided by their standard deviation. ``none``.
        decay: Of the running mean.
        start: Where the running mean starts: at ``zero``, with the ``first`` round's reward, or
            ``debiased``, as Adam's moments are. With the last two the first round teaches nothing.
    """

    kind: Literal["ema", "rloo", "batch_mean", "group_norm", "none"] = "ema"
    decay: float = Field(default=0.9, ge=0, lt=1)
    start: Literal["zero", "first", "debiased"] = "zero"


class ReinforceTraining(Spec):
    """How an adapter is trained by its own samples.

    Attributes:
        condition: What is rewarded. ``control``: the true score of the answer; the grade is asked
            for and counts for nothing. ``selfgrade``: the grade that the model gives itself.
            ``honest``: the true score, and all that was written is credited.
        credit: Which tokens are credited with the advantage; None is ``answer`` in the control and
            ``all`` in the others.
        grader: Who grades: the model as it is trained (``self``), or the ``base``, whose grade
            can't be credited.
        aggregation: Of the credited tokens' log-probabilities. ``mean_all``: their mean.
            ``per_segment``: the sum of the answer's mean and the grade's. ``sum``.
            ``constant_length``: the sum over the most tokens that could have been written.
        baseline: What is taken off a reward.
        unparsed: What an answer without a grade is worth where the grade is the reward: ``zero``,
            nothing at all (``skip``), or as much as the ``baseline``.
        grade_request: What the model is asked after its answer; the default is that of the scale.
        grade_scale: Which grades there are: ``binary``, 0 or 1; ``unit``, decimals from 0 to 1; or
            whole numbers, ``0-10`` and ``1-5``. The worst is 0 as a reward, and the best 1.
        system: A system text in front of the conversation; empty for none.
        rounds: Updates.
        batch: Items per round.
        samples: Answers to each of them.
        order: ``shuffled`` anew for each pass over the items, or the same ``fixed`` order.
        answer_tokens: Most tokens of an answer, drawn from the whole distribution.
        stop: Strings that end an answer; the recipe takes them from the task if none are given.
        grade_tokens: Most tokens of a grade.
        rank: Of the factors.
        alpha: What the factors add is multiplied by ``alpha / rank``.
        rank_stabilised: By ``alpha / sqrt(rank)`` instead.
        layers: ``all`` linear layers of the blocks, or the ends of their names (``q_proj``).
        learning_rate: Of AdamW.
        schedule: What the rate does after the warm-up.
        warmup: Share of the rounds in which the rate rises.
        floor: Share of the highest rate that ``cosine`` and ``linear`` end at.
        betas: AdamW's.
        weight_decay: Of the factors.
        clip: Largest norm of the gradient.
        divergence_weight: Of the mean KL(adapted || base) at the sampled tokens, as a penalty.
        keep_every: Rounds between two states of the adapter that are kept; the last one always is.
        evaluate: How held-out items are answered whenever a state is kept.
        most_skipped: Rounds that are not finite that are skipped before the run is given up.
        skipped_in_a_row: After so many in a row the last good adapter comes back.
        alarms: When a run says that it goes wrong, and whether that ends it.
        seed: Of replicas: beside the experiment's own.
    """

    condition: Condition = "selfgrade"
    credit: Credit | None = None
    grader: Literal["self", "base"] = "self"
    aggregation: Aggregation = "mean_all"
    baseline: BaselineConfig = BaselineConfig()
    unparsed: Literal["zero", "skip", "baseline"] = "zero"
    grade_request: str = REQUESTS["binary"]
    grade_scale: ScaleName = "binary"
    system: str = ""
    rounds: PositiveInt = 500
    batch: PositiveInt = 1
    samples: PositiveInt = 1
    order: Literal["shuffled", "fixed"] = "shuffled"
    answer_tokens: PositiveInt = 50
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    grade_tokens: PositiveInt = 10
    rank: PositiveInt = 8
    alpha: PositiveFloat = 32.0
    rank_stabilised: bool = False
    layers: Literal["all"] | tuple[Annotated[str, Field(min_length=1)], ...] = "all"
    learning_rate: PositiveFloat = 2e-5
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    floor: float = Field(default=0.0, ge=0, le=1)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 1.0
    divergence_weight: NonNegativeFloat = 0.0
    keep_every: PositiveInt | None = 50
    evaluate: tuple[Literal["greedy", "sampled"], ...] = ("greedy", "sampled")
    most_skipped: NonNegativeInt = 10
    skipped_in_a_row: PositiveInt = 3
    alarms: AlarmConfig = AlarmConfig()
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _consistent(self) -> ReinforceTraining:
        if self.baseline.kind in _NEED_GROUPS and self.samples < 2:
            raise ValueError(f"baseline {self.baseline.kind} compares an item's samples: give 2")
        if self.credit not in (None, "answer") and self.condition == "control":
            raise ValueError("in the control the grade counts for nothing: credit is `answer`")
        if self.credit not in (None, "answer") and self.grader == "base":
            raise ValueError("the base's grade is not the adapter's: credit is `answer`")
        unknown = [name for name in self.alarms.stop if name not in NAMES]
        if unknown:
            raise ValueError(f"alarms.stop: no alarm {unknown[0]!r}; there are {', '.join(NAMES)}")
        if not self.layers:
            raise ValueError("layers names no layer; `all` is all of them")
        return self

    @property
    def credited(self) -> Credit:
        """Which tokens are credited."""
        only_answer = self.condition == "control" or self.grader == "base"
        return self.credit or ("answer" if only_answer else "all")

    @property
    def scale(self) -> GradeScale:
        """Which grades there are."""
        return SCALES[self.grade_scale]

    @property
    def request(self) -> str:
        """What the model is asked after its answer."""
        own = self.grade_request != REQUESTS["binary"]
        return self.grade_request if own else REQUESTS[self.grade_scale]

    @property
    def scaling(self) -> float:
        """What the product of the factors is multiplied by."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilised else self.rank)

    @property
    def most_credited(self) -> int:
        """Most tokens of an episode that can be credited."""
        most = {"answer": self.answer_tokens, "grade": self.grade_tokens}
        return most.get(self.credited) or sum(most.values())

    @property
    def first_look(self) -> tuple[object, ...]:
        """What decides, beside data and random streams, how an adapter that does nothing answers.

        Runs that have it in common are looked at once before their first round.
        """
        lengths = (self.answer_tokens, self.stop, self.grade_tokens)
        return (self.seed, self.system, self.request, self.grade_scale, self.evaluate, *lengths)

    def episode_tokens(self, samples: Sequence[Sample]) -> float:
        """Return about how many tokens a question of ``samples`` has with its answer and grade."""
        asked = sum(tokens_of(sample.messages, sample.preamble) for sample in samples)
        said = tokens_of((), self.system, self.request)
        return asked / max(1, len(samples)) + said + self.answer_tokens + self.grade_tokens

    def loop(self) -> Training:
        """Return the settings of the training loop."""
        names = Training.model_fields.keys() & type(self).model_fields.keys()
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        return Training(**values, steps=self.rounds, evaluate_every=self.rounds, patience=None)

    def kept(self) -> dict[str, int]:
        """Return the rounds after which the adapter is kept, by their names."""
        every = self.keep_every or self.rounds
        rounds = {*range(every, self.rounds + 1, every), self.rounds}
        return {f"round-{number}": number for number in sorted(rounds)}


class CohortTraining(Spec):
    """Runs that are trained side by side on one base.

    Attributes:
        common: What all runs have in common.
        runs: By name what each has instead; every one of them has ``replicas``.
        replicas: Runs of each name, which differ in their seeds alone.
        cohort_size: Most runs that learn side by side; more are shared out evenly among several
            cohorts, which as many workers train at a time. Null is one cohort of all.
        members: The runs of this cohort, by name and number; the recipe fills it in.
        score: The judge whose rule says what an answer is worth, such as ``number``, ``label`` or
            ``rouge``: any that needs no model and whose first metric lies between 0 and 1.
        held_out: Most items of the select split that adapters are looked at on.
        direction: The states of held-out items' grades are projected on it, whenever adapters are
            looked at; null leaves it out.
        most_tokens: Tokens computed at once; changes no result.
    """

    common: ReinforceTraining = ReinforceTraining()
    runs: dict[str, dict[str, JsonValue]] = Field(
        default={name: {"condition": name} for name in ("control", "selfgrade", "honest")},
        min_length=1,
    )
    replicas: int = Field(default=1, ge=1, le=100)
    cohort_size: PositiveInt | None = None
    members: tuple[str, ...] | None = None
    score: JudgeName = Component(name="number")
    held_out: NonNegativeInt = 200
    direction: GradeDirection | None = None
    most_tokens: PositiveInt = Field(default=4096, exclude=True)

    @model_validator(mode="after")
    def _runs_are_right(self) -> CohortTraining:
        wrong = [name for name in self.runs if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name)]
        if wrong:
            raise ValueError(f"runs: {wrong[0]!r} must be of small letters, digits and _")
        known = list(self._all())
        stranger = next((name for name in self.members or () if name not in known), None)
        if stranger is not None:
            raise ValueError(f"members: no run {stranger!r}. {did_you_mean(stranger, known)}")
        if self.members == ():
            raise ValueError("members names no run; null is all of them")
        # of all runs: a cohort that has a share of them may be one that looks at nothing
        looks = self.held_out and any(run.evaluate for run in self._all().values())
        if self.direction is not None and not looks:
            raise ValueError("direction: no held-out item is looked at, see held_out and evaluate")
        return self

    def settings(self) -> dict[str, ReinforceTraining]:
        """Return the settings of each run of this cohort, by its name with the replica's number."""
        known = self._all()
        return {name: run for name, run in known.items() if name in (self.members or known)}

    def cohort_of(self, run: str) -> CohortTraining:
        """Return the cohort that trains ``run``: this one, or its share of it.

        Runs of one seed stay together, since they are looked at once before their first round.
        """
        names = sorted(self.settings(), key=lambda name: int(name.rpartition("-")[2]))
        share = None
        if self.cohort_size is not None and self.cohort_size < len(names):
            cohorts = math.ceil(len(names) / self.cohort_size)
            ends = [len(names) * (number + 1) // cohorts for number in range(cohorts)]
            number = bisect_right(ends, names.index(run))
            share = tuple(names[ends[number - 1] if number else 0 : ends[number]])
        return self.model_copy(update={"cohort_size": None, "members": share or self.members})

    def _all(self) -> dict[str, ReinforceTraining]:
        common = self.common.model_dump(exclude_defaults=True)
        return {
            f"{name}-{number}": ReinforceTraining.model_validate(
                {**common, **changed, "seed": self.common.seed + number}
            )
            for name, changed in self.runs.items()
            for number in range(self.replicas)
        }

    def workload(self, samples: Sequence[Sample], held_out: Sequence[Sample]) -> Workload:
        """Return what all runs compute: answers and grades as long as they may be.

        Each is written, and read once more by the base, before it is learned from. Whenever a state
        is kept, and before the first round, held-out items are answered and graded.
        """
        looked_at = held_out[: self.held_out]
        updates, learned, read, written = 0, 0.0, 0.0, 0.0
        begun: set[tuple[object, ...]] = set()
        for run in self.settings().values():
            updates += run.rounds
            episodes = run.rounds * run.batch * run.samples
            learned += episodes * run.episode_tokens(samples)
            times = len(run.kept()) + (run.first_look not in begun)
            begun.add(run.first_look)
            looks = times * len(run.evaluate) * len(looked_at)
            writing = (episodes + looks) * (run.answer_tokens + run.grade_tokens)
            written += writing
            read += 2 * episodes * run.episode_tokens(samples) - writing
            read += looks * run.episode_tokens(looked_at)
        return Workload(updates, learned, read, written)

    def given(self) -> dict[str, Any]:
        """Return what was given, as JSON types; what changes no result, too."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return {**given, "most_tokens": self.most_tokens}

    def artifacts(self) -> dict[str, tuple[str, int]]:
        """Return run and round of each state that is kept, by its name; the last rounds first."""
        found = [
            (f"{run}-{kept}", (run, number))
            for run, settings in self.settings().items()
            for kept, number in settings.kept().items()
        ]
        return dict(sorted(found, key=lambda entry: -entry[1][1]))
