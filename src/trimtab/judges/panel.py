"""Several judges of one question, and what most of them say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import Field, field_validator, model_validator

from trimtab.core.errors import ConfigError
from trimtab.core.spec import RESULTS, Component, Metric, MetricRole, Spec
from trimtab.judges.base import JUDGES, Item, Judge, Resource, Verdict

__all__ = ["Panel"]


class PanelConfig(Spec):
    """Who sits on the panel.

    Attributes:
        judges: Its members; all give the metric that the panel votes on. In the panel's key stand
            their keys, not their configurations, which may hold prices.
        metric: That metric, binary; null is the first member's first metric.
        quorum: Fewest members that must have a verdict; null is more than half of them.
    """

    judges: tuple[Component, ...] = Field(min_length=2, exclude=True)
    metric: str | None = None
    quorum: int | None = Field(default=None, ge=1)

    @field_validator("judges")
    @classmethod
    def _no_doubles(cls, value: tuple[Component, ...]) -> tuple[Component, ...]:
        if any(one == other for i, one in enumerate(value) for other in value[:i]):
            raise ValueError("a judge has one vote")
        return value

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.quorum is not None and self.quorum > len(self.judges):
            raise ValueError(f"a quorum of {self.quorum} needs more than {len(self.judges)} judges")
        return self


class Panel(Judge[PanelConfig]):
    """The majority of its members' verdicts; a tie and a missed quorum are unscored.

    For a metric ``truth``: ``truth`` is the majority's verdict, ``truth_p`` the share of yes among
    the members that have a verdict. A member without a verdict has no vote. The members score first
    and are kept as judges of their own; reports show the panel in their place and how far they
    agree.
    """

    Config = PanelConfig

    def __init__(self, config: PanelConfig) -> None:
        """Build the members; raise ConfigError if one is unknown or lacks the metric."""
        super().__init__(config)
        built = [JUDGES.build(each.name, each.config) for each in config.judges]
        name = config.metric or built[0].metrics[0].name
        held = [{metric.name: metric for metric in judge.metrics} for judge in built]
        for component, metrics in zip(config.judges, held, strict=True):
            if name not in metrics or metrics[name].kind != "binary":
                raise ConfigError(
                    f"judge 'panel': its member {component.name!r} gives no verdict {name!r} (it "
                    f"gives {', '.join(metrics)}).",
                    hint="All members must answer the same question by yes or no.",
                )
        # what is voted on is a result of its own, also where it is another reading for a member
        role: MetricRole = "effect" if held[0][name].role in RESULTS else held[0][name].role
        self._metric = held[0][name].model_copy(update={"role": role})
        self._quorum = config.quorum or len(built) // 2 + 1

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The majority's verdict, and the share of yes."""
        return (self._metric, self._metric.read_again(f"{self._metric.name}_p", "fraction"))

    @property
    def members(self) -> tuple[Component, ...]:
        """Those who vote."""
        return self.config.judges

    def score(self, items: Sequence[Item], resource: Resource) -> Iterator[tuple[int, Verdict]]:
        """Count the votes on each item."""
        for number, item in enumerate(items):
            if item.owed:
                yield number, self._count(item)

    def _count(self, item: Item) -> Verdict:
        missing = self.missing(item)
        if missing is not None:
            return self.unscored(missing)
        name = self._metric.name
        votes = [vote for each in item.votes if (vote := each.get(name)) is not None]
        if len(votes) < self._quorum:
            return self.unscored(f"{len(votes)} verdicts, and the quorum is {self._quorum}")
        share = sum(votes) / len(votes)
        if share == 0.5:
            return self.unscored(f"a tie of {len(votes)} verdicts")
        return Verdict({name: float(share > 0.5), f"{name}_p": share})
