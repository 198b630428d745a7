"""How a search goes about: who asks, what is pruned, and for what a configuration is valued."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trimtab.core.counted import counted
from trimtab.core.spec import Spec
from trimtab.search.storage import address

SamplerName = Literal["tpe", "random", "grid", "cmaes", "gp", "nsga2"]
PrunerName = Literal["wilcoxon", "median", "halving", "none"]
PERPLEXITY_RATIO = "perplexity_ratio"
"""Of held-out text, to the baseline's; a constraint or a second objective may name it."""


class Constraint(Spec):
    """What a configuration may break at most.

    Attributes:
        metric: A metric of a judge, or ``perplexity_ratio``.
        at_most: Its largest mean; a number between 0 and 1 for a share.
    """

    metric: str
    at_most: float = Field(allow_inf_nan=False)


class SearchSettings(Spec):
    """The search itself.

    Attributes:
        sampler: Who asks: ``tpe`` (multivariate, by groups of conditional settings), ``random``,
            ``grid`` (every combination once, in an order that the seed draws), ``cmaes`` (which
            does not weigh constraints: they bar winners alone), ``gp``, ``nsga2``.
        pruner: What ends a trial between two rungs: ``wilcoxon`` (paired by problem, against the
            best complete trial), ``median`` (below the median of the others at this rung),
            ``halving`` (not among the best ``1 / reduction`` of its batch), ``none``.
        trials: All trials, the baseline (0) and the prompt (1) among them.
        parallel: Trials that are asked for together and evaluated in one batch.
        startup: Trials that are drawn at random before ``tpe`` or ``gp`` model anything.
        rungs: Problems of the select split that each rung adds, in order; a trial that passes all
            of them is complete.
        p_threshold: Of ``wilcoxon``: largest p-value at which a trial is pruned.
        reduction: Of ``halving``.
        objective: Metric that is to be high (or low, if that is better); null is the first of the
            task's own judge.
        second: A second objective that the sampler weighs; nothing is pruned, and the winner is
            still the best by the first.
        constraints: What a configuration may break at most; others don't become the winner.
        top: Best configurations that are evaluated again on the confirm problems.
        max_failures: Most trials that fail in a row before the search ends.
        leak: For teaching: repeat the mistake of fitting on the problems that trials are valued by,
            and of choosing the winner by that value. The report puts the number that this gives
            beside the test split's.
        storage: Address of a database that shows the search to other tools after each rung, such as
            ``sqlite:///study.db``; null is none. Nothing is read from it, and a password in it is
            not written down.
    """

    sampler: SamplerName = "tpe"
    pruner: PrunerName = "wilcoxon"
    trials: int = Field(default=42, ge=3)
    parallel: int = Field(default=8, ge=1)
    startup: int = Field(default=10, ge=1)
    rungs: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(12, 12, 24), min_length=1)
    p_threshold: float = Field(default=0.1, gt=0, lt=1)
    reduction: float = Field(default=2.0, gt=1)
    objective: str | None = None
    second: str | None = None
    constraints: tuple[Constraint, ...] = ()
    top: int = Field(default=5, ge=1)
    max_failures: int = Field(default=8, ge=1)
    leak: bool = False
    storage: str | None = None

    @field_validator("storage")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        return None if value is None else address(value)

    @model_validator(mode="before")
    @classmethod
    def _constraints_as_table(cls, value: Any) -> Any:
        """``{repetition: 0.2}`` is short for a list of constraints."""
        if isinstance(value, dict) and isinstance(value.get("constraints"), dict):
            table = value["constraints"]
            listed = [{"metric": name, "at_most": most} for name, most in table.items()]
            return {**value, "constraints": listed}
        return value

    @model_validator(mode="after")
    def _one_objective_where_it_must_be(self) -> Self:
        if self.second is None:
            return self
        if self.pruner != "none":
            raise ValueError("with a `second` objective nothing can be pruned: give `pruner: none`")
        if self.sampler == "cmaes":
            raise ValueError("`cmaes` has one objective; take nsga2, tpe or gp for a `second`")
        return self

    @property
    def outlook(self) -> str:
        """What a search takes at most, and what follows."""
        each = sum(self.rungs)
        return (
            f"up to {self.trials} trials in batches of {self.parallel}, {each} select problems "
            f"each in {counted(len(self.rungs), 'rung')} (at most {self.trials * each:,} answers); "
            f"then the best {self.top} on confirm problems, and one on the test split"
        )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that are named, beside the objective."""
        second = () if self.second is None else (self.second,)
        return (*second, *(constraint.metric for constraint in self.constraints))
