"""Fit a cohort, from the first round to the states that are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.fences import Fence, unfenced
from trimtab.core.keys import content_key
from trimtab.core.types import Rendering, Sample
from trimtab.models.lora import factors_identity
from trimtab.models.lowrank import Adapter, LowRank
from trimtab.steering.fitted import Scores
from trimtab.steering.projections import Projector
from trimtab.training.checkpoint import restore
from trimtab.training.reinforce.cohort import Cohort, Ended, Progress
from trimtab.training.reinforce.config import CohortTraining
from trimtab.training.reinforce.learner import Learner, RunSetting

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine

CURVES = (
    *("step", "reward", "true", "grade", "grade_all", "inflation", "inflation_all", "unparsed"),
    *("refused", "entropy", "divergence", "gradient_norm", "mismatch"),
)
"""What is told of each round beside an adapter; the rest is in the log of its run."""


@dataclass(frozen=True)
class Items:
    """What a cohort learns from.

    Attributes:
        samples: Items that are answered.
        rendering: How their messages become prompts.
        held_out: Items that adapters are looked at on.
    """

    samples: Sequence[Sample]
    rendering: Rendering
    held_out: Sequence[Sample] = ()


@dataclass(frozen=True, eq=False)
class KeptState:
    """A state of one run.

    Attributes:
        adapter: Its factors; None where the run was given up before.
        about: What is known of the run.
    """

    adapter: Adapter | None
    about: dict[str, Any]


def train_cohort(
    engine: Engine,
    training: CohortTraining,
    items: Items,
    scores: Scores,
    *,
    folder: Path,
    seed: int,
    projector: Projector | None = None,
    progress: Callable[[Progress], None] | None = None,
    fence: Fence = unfenced,
) -> dict[str, KeptState]:
    """Return the kept states of all runs, by the names of ``training.artifacts``.

    Killed and called again, it goes on from its last checkpoint and ends with the same bytes (CPU,
    the same number of threads).

    Args:
        engine: Of the base model, which stays as it is.
        training: The runs.
        items: What they learn from.
        scores: What answers are worth, by the rule of ``training.score``.
        folder: Used by this cohort alone.
        seed: Everything random depends on it.
        projector: Projects grades of held-out items.
        progress: Called after each round.
        fence: Called before each write to ``folder``; raises if another worker has taken over.

    Raises:
        ConfigError: Settings name no layer of the model.
        StoreError: The folder can't be written, or holds another cohort.
    """
    rule = training.score
    scored_by = content_key(rule) if rule.config else rule.name
    runs = [
        RunSetting(
            name,
            settings,
            items.samples,
            items.rendering,
            scores,
            scored_by,
            seed,
            items.held_out[: training.held_out],
            projector,
        )
        for name, settings in training.settings().items()
    ]
    cohort = Cohort(
        engine, runs, folder, most_tokens=training.most_tokens, progress=progress, fence=fence
    )
    ended = cohort.run()
    learners = {learner.run.name: learner for learner in cohort.learners}
    return {
        name: _state(learners[run], ended[run], number)
        for name, (run, number) in training.artifacts().items()
    }


def _state(learner: Learner, ended: Ended, number: int) -> KeptState:
    rows = ended.outcome.rows
    about = {
        "method": "trained by REINFORCE",
        "run": learner.run.name,
        "round": number,
        "failed": ended.failed,
        "condition": learner.settings.condition,
        "order": learner.settings.order,
        "rounds_of_pass": learner.loop.course.settings.steps_per_epoch(learner.loop.num_items),
        "skipped": ended.outcome.skipped,
        "curves": [
            [*(row.get(name) for name in CURVES), len(row["episodes"] or ())]
            for row in rows
            if "watched" not in row
        ],
        "curve_names": [*CURVES, "episodes"],
        "alarms": learner.watch.raised,
        "held_out": [{"round": row["step"], **row["watched"]} for row in rows if "watched" in row],
    }
    if ended.outcome.steps < number:
        return KeptState(None, about)
    restore(learner.module, learner.loop.checkpoints.kept(number), learner.run.name)
    factors = {
        name: LowRank(f.down.detach().cpu().clone(), f.up.detach().cpu().clone(), f.scaling)
        for name, f in learner.module.adapter.factors.items()
    }
    return KeptState(Adapter(factors, factors_identity(factors)), about)
