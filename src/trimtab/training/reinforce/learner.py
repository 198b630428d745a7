"""One run: an adapter that answers, grades itself, is rewarded, and is updated once a round.

Its learner is the objective of the shared loop. Several of them learn side by side, see ``cohort``:
they say what is to be written and learned from, and never compute anything themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trimtab.core.fences import Fence, unfenced
from trimtab.core.keys import content_key, derive_seed
from trimtab.core.types import Rendering, Sample, SamplingParams
from trimtab.engine.conversations import Conversations
from trimtab.engine.reading.divergence import Drawn, drawn_tokens
from trimtab.engine.reading.likelihood import Learned
from trimtab.engine.request import Request, Text
from trimtab.models.finite import are_finite
from trimtab.models.nets.factors import TrainedAdapter
from trimtab.steering.fitted import Scores
from trimtab.steering.projections import Projector
from trimtab.text.grades import GRAMMAR, Grade, parse_grade
from trimtab.training.course import Batch, Course
from trimtab.training.loop import Loop
from trimtab.training.reinforce.advantages import Baseline
from trimtab.training.reinforce.alarms import Watch
from trimtab.training.reinforce.config import VERSION, ReinforceTraining
from trimtab.training.reinforce.credit import Segments, aggregate, credited
from trimtab.training.reinforce.dialogue import Dialogue, Episode, Written
from trimtab.training.reinforce.evaluation import evaluate
from trimtab.training.reinforce.rounds import Round, told
from trimtab.training.sft.fit import layers_of

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine
    from trimtab.models.lowrank import Adapter


Looks = dict[str, dict[str, Any]]
"""What was seen of held-out items, by what decides it."""


@dataclass(frozen=True, eq=False)
class RunSetting:
    """What a run is made of.

    Attributes:
        name: Names its folder.
        settings: How it is trained.
        samples: The items.
        rendering: How their messages become prompts.
        true_scores: Scores of answers, 1 for a gold one; None where one can't be scored.
        scored_by: What determines the true scores: keys of judges and the like.
        seed: Everything random depends on it, and on ``settings.seed``.
        held_out: Other items, on which the adapter is looked at, before the first round and
            whenever it is kept; nothing is learned from them.
        projector: Projects the states of their grades; None leaves it out.
    """

    name: str
    settings: ReinforceTraining
    samples: Sequence[Sample]
    rendering: Rendering
    true_scores: Scores
    scored_by: str
    seed: int
    held_out: Sequence[Sample] = ()
    projector: Projector | None = None


class Learner:
    """A run that learns."""

    def __init__(
        self,
        engine: Engine,
        run: RunSetting,
        folder: Path,
        looks: Looks | None = None,
        fence: Fence = unfenced,
    ) -> None:
        """Make an adapter that changes nothing yet.

        Args:
            engine: Of the base model.
            run: The run.
            folder: Where its checkpoints go; used by it alone.
            looks: What was seen of held-out items before any update; runs with the same items and
                seed see the same there, so that one of them looks for all.
            fence: Called before anything is written to ``folder``.

        Raises:
            ConfigError: ``settings.layers`` names no layer of the model.
            ModelError: The template can't render the conversation.
        """
        self.run = run
        self.settings = run.settings
        self.identity = _identity(engine, run)
        self.failed: str | None = None
        self.round: Round | None = None
        self._engine = engine
        self._looks = {} if looks is None else looks
        self._seed = derive_seed(run.seed, run.settings.seed)
        self._dialogue = Dialogue(
            engine.renderer, run.rendering, self.settings.request, self.settings.system
        )
        self._prompts = [self._dialogue.task(sample) for sample in run.samples]
        self._baseline = Baseline(self.settings.baseline)
        self.watch = Watch(self.settings.alarms)
        self.module = _new_adapter(engine, self.settings, self._seed)
        self.loop = Loop(
            self.module,
            self,
            Course(
                settings=self.settings.loop(),
                folder=folder,
                seed=self._seed,
                identity=self.identity,
                checkpoint_seconds=math.inf,
                keep=frozenset(self.settings.kept().values()),
                fence=fence,
            ),
            num_items=len(run.samples),
            watch=self._look if run.held_out and self.settings.evaluate else None,
            order=self._fixed if self.settings.order == "fixed" else None,
            name_of=lambda item: f"item {run.samples[item].id!r}",
        )

    @property
    def is_finite(self) -> bool:
        """Whether the adapter can be computed with."""
        return are_finite(self.loop.trained.values())

    def answer_requests(
        self, batch: Batch, conversations: Conversations | None = None
    ) -> list[Request]:
        """Return what asks for the answers of a round, as first turns of ``conversations``."""
        prompts = [self._prompts[item] for item in self._items(batch)]
        return self._requests("answer", batch, prompts, self.module.adapter, conversations)

    def grade_requests(
        self,
        batch: Batch,
        answers: Sequence[Written],
        conversations: Conversations | None = None,
    ) -> list[Request]:
        """Return what asks for the grades of these answers, where ``conversations`` go on."""
        adapter = None if self.settings.grader == "base" else self.module.adapter
        both = zip(self._items(batch), answers, strict=True)
        prompts = [self._before_grade(item, answer) for item, answer in both]
        return self._requests("grade", batch, prompts, adapter, conversations)

    def settle(self, batch: Batch, answers: Sequence[Written], grades: Sequence[Written]) -> None:
        """Read the grades, score the answers, and work out what each episode is worth."""
        items = self._items(batch)
        episodes = [
            Episode(item, self._prompts[item], answer, self._dialogue.request(answer.tokens), grade)
            for item, answer, grade in zip(items, answers, grades, strict=True)
        ]
        read = [parse_grade(grade.text, self.settings.scale) for grade in grades]
        scores = self.run.true_scores([(self.run.samples[e.item], e.answer.text) for e in episodes])
        true = [s if s is not None and math.isfinite(s) else None for s in scores]
        rewards = [self._reward(g, t) for g, t in zip(read, true, strict=True)]
        size = self.settings.samples
        grouped = [rewards[at : at + size] for at in range(0, len(rewards), size)]
        found = self._baseline.advantages(grouped)
        advantages = [value for group in found.values for value in group]
        if self.settings.unparsed == "baseline" and self.settings.condition == "selfgrade":
            advantages = [0.0 if value is None else value for value in advantages]
        self.round = Round(episodes, read, true, rewards, advantages, found.baseline)

    def rows(self) -> list[Learned]:
        """Return the conversations of the round, with the places of what was written."""
        assert self.round is not None
        return [self._row(episode) for episode in self.round.episodes]

    def learn(self, number: int, drawn: Drawn) -> torch.Tensor | None:
        """Return the loss of an episode, of which this is computed; None if it has none.

        What is told of the round remembers it.
        """
        assert self.round is not None
        episode, advantage = self.round.episodes[number], self.round.advantages[number]
        settings = self.settings
        lengths = [len(places) for places in self._places(episode)]
        values = (drawn.logprob_N, drawn.entropy_N, drawn.divergence_N)
        self.round.drawn[number] = (Drawn(*(value.detach() for value in values)), lengths)
        if advantage is None:
            return None
        logprobs = Segments(*self._split(drawn.logprob_N, lengths))
        parts = credited(logprobs, settings.credited)
        value = aggregate(parts, settings.aggregation, settings.most_credited)
        loss = -advantage * value
        if self.penalised:
            apart = Segments(*self._split(drawn.divergence_N, lengths))
            penalised = torch.cat(credited(apart, settings.credited))
            loss = loss + settings.divergence_weight * penalised.mean()
        return loss

    @property
    def learns(self) -> bool:
        """Whether anything is learned from the round."""
        assert self.round is not None
        return any(advantage is not None for advantage in self.round.advantages)

    @property
    def weight(self) -> float:
        """How many episodes are learned from, for a mean; at least 1."""
        assert self.round is not None
        return float(max(1, sum(a is not None for a in self.round.advantages)))

    def note(self) -> dict[str, Any]:
        """Return what the log keeps of the round."""
        if self.round is None:
            return {"episodes": None}
        return told(self.round, [s.id for s in self.run.samples], self.settings.grader == "self")

    def alarmed(self, number: int, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the alarms of round ``number``, of which ``row`` is told, before its update."""
        grads = [p.grad for p in self.loop.trained.values() if p.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(grads)) / self.weight if grads else 0.0
        return self.watch.after(number, row, norm)

    def loss(self, items: Sequence[int]) -> tuple[torch.Tensor, float]:
        """Return the summed loss of the round's episodes of some items, and their number.

        It is infinite where there are none: sampling itself was not finite.
        """
        if self.round is None:
            return torch.tensor(math.inf, requires_grad=True), 1.0
        rows, losses = self.rows(), []
        for number, episode in enumerate(self.round.episodes):
            if episode.item in items:
                (drawn,) = drawn_tokens(
                    self._engine.loaded, self._engine.head, [rows[number]], penalised=self.penalised
                )
                losses.append(self.learn(number, drawn))
        known = [loss for loss in losses if loss is not None]
        total = torch.stack(known).sum() if known else torch.zeros((), requires_grad=True)
        return total, float(max(1, len(known)))

    @property
    def penalised(self) -> bool:
        """Whether gradients of the divergence are asked for."""
        return self.settings.divergence_weight > 0

    def state(self) -> dict[str, Any]:
        """Return the running mean of rewards, and what alarms rest on."""
        return {"baseline": self._baseline.state(), "watch": self.watch.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self._baseline.restore(state["baseline"])
        self.watch.restore(state["watch"])

    def _look(self) -> dict[str, Any]:
        if self.loop.step:
            return self._evaluated()
        key = self._first_look_key()
        if key not in self._looks:
            self._looks[key] = self._evaluated()
        return self._looks[key]

    def _first_look_key(self) -> str:
        """Return the hash of all that decides what an adapter that changes nothing does."""
        run = self.run
        samples = [[s.id, s.messages, s.preamble, s.target] for s in run.held_out]
        first = list(self.settings.first_look)
        return content_key([self._seed, run.rendering, run.scored_by, samples, first])

    def _evaluated(self) -> dict[str, Any]:
        run = self.run
        return evaluate(
            self._engine,
            self._dialogue,
            self.settings,
            self.module.adapter,
            run.held_out,
            run.true_scores,
            derive_seed(self._seed, self.loop.step),
            run.projector,
        )

    def _items(self, batch: Batch) -> list[int]:
        return [item for item in batch.items for _ in range(self.settings.samples)]

    def _before_grade(self, item: int, answer: Written) -> tuple[int, ...]:
        return (*self._prompts[item], *answer.tokens, *self._dialogue.request(answer.tokens))

    def _requests(
        self,
        kind: str,
        batch: Batch,
        prompts: Sequence[tuple[int, ...]],
        adapter: Adapter | None,
        conversations: Conversations | None,
    ) -> list[Request]:
        settings = self.settings
        is_answer = kind == "answer"
        most = settings.answer_tokens if is_answer else settings.grade_tokens
        stop = settings.stop if is_answer else ()
        sampling = SamplingParams(max_tokens=most, temperature=1.0, stop=stop)
        seeds = [derive_seed(self._seed, kind, batch.step, n) for n in range(len(prompts))]
        wants = [Text(sampling, seed, conversations=conversations) for seed in seeds]
        return [
            Request((self.run.name, number), prompt, want, adapter=adapter)
            for number, (prompt, want) in enumerate(zip(prompts, wants, strict=True))
        ]

    def _reward(self, grade: Grade, true: float | None) -> float | None:
        if self.settings.condition != "selfgrade":
            return true
        if grade.value is None and self.settings.unparsed == "zero":
            return 0.0
        return grade.value

    def _places(self, episode: Episode) -> tuple[range, ...]:
        """Return the places of what the adapter wrote."""
        return episode.places if self.settings.grader == "self" else episode.places[:1]

    def _row(self, episode: Episode) -> Learned:
        places = tuple(place for segment in self._places(episode) for place in segment)
        return Learned(episode.tokens[: places[-1] + 1], places, self.module.adapter)

    def _split(self, value_N: torch.Tensor, lengths: Sequence[int]) -> list[torch.Tensor]:
        parts = list(value_N.split(list(lengths)))
        return [*parts, value_N[:0]][:2]

    def _fixed(self, _epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "order"))
        return torch.randperm(len(self.run.samples), generator=generator).tolist()


def _new_adapter(engine: Engine, settings: ReinforceTraining, seed: int) -> TrainedAdapter:
    layers = layers_of(engine.loaded.layout, settings.layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return TrainedAdapter(engine.loaded, layers, settings.rank, settings.scaling)


def _identity(engine: Engine, run: RunSetting) -> str:
    both = (run.samples, run.held_out)
    samples = [[[s.id, s.messages, s.preamble, s.target] for s in some] for some in both]
    parts = [engine.identity, VERSION, GRAMMAR, run.settings, samples, run.rendering]
    projected = [] if run.projector is None else [run.projector.identity]
    return content_key([*parts, run.scored_by, run.seed, *projected])
