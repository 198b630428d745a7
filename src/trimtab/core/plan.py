"""What is to be done: cells, fits and judges, in fragments by which a plan grows. Pure data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Literal

from pydantic import Field

from trimtab.core.spec import Component, Metric, ModelSpec, Output, Purpose, Role, Spec, Split
from trimtab.core.trigger import Trigger
from trimtab.core.types import Rendering, SamplingParams

FORMAT = 2
"""Of the run directory; 1 was a single ``plan.json``."""


class DataRef(Spec):
    """Data that a fit reads.

    Attributes:
        kind: What its rows are; names the folder in the run directory (prompts are samples).
        key: Hash of its content, which names the file.
        split: Which split it is of: fits learn on fit, and choose or stop on select.
        rendering: How its messages become prompts; None where no model reads them.
        label: What tells it from other inputs of its kind.
    """

    kind: Literal["samples", "pairs", "prompts", "conversations"]
    key: str
    split: Split
    rendering: Rendering | None = None
    label: str | None = None


class CellsRef(Spec):
    """Completions that a fit reads, with their scores.

    Attributes:
        cells: Keys of the cells.
        judges: Keys of the judges whose scores of them must be there.
    """

    cells: tuple[str, ...]
    judges: tuple[str, ...] = ()


class ArtifactRef(Spec):
    """What another fit makes, as input of a fit.

    Attributes:
        artifact: Its key.
    """

    artifact: str


class FitPlan(Spec):
    """One fit, and the artifacts that it makes.

    Attributes:
        key: Hash of model, configuration, data and seed.
        component: Whose ``fit`` is called.
        owner: In which registry it is.
        model: The model it is fitted on; None if it needs none.
        model_identity: Hash of weights, tokenizer and template.
        inputs: What it reads, by name, in the order in which it reads them.
        reward: Key of the judge whose verdicts it learns from, if any.
        metric: That judge's metric.
        artifacts: Key of each artifact that it makes, by name.
        seed: Seed of everything random in it.
    """

    key: str
    component: Component
    owner: Literal["intervention", "judge"] = "intervention"
    model: ModelSpec | None = None
    model_identity: str | None = None
    inputs: dict[str, DataRef | CellsRef | ArtifactRef] = Field(default_factory=dict)
    reward: str | None = None
    metric: str | None = None
    artifacts: dict[str, str]
    seed: int = 0

    @property
    def data(self) -> dict[str, DataRef]:
        """The inputs that are data, by name."""
        return {name: ref for name, ref in self.inputs.items() if isinstance(ref, DataRef)}

    @property
    def completions(self) -> dict[str, CellsRef]:
        """The inputs that are completions, by name."""
        return {name: ref for name, ref in self.inputs.items() if isinstance(ref, CellsRef)}

    @property
    def made(self) -> dict[str, str]:
        """Key of each artifact of another fit that it reads, by name."""
        refs = self.inputs.items()
        return {name: ref.artifact for name, ref in refs if isinstance(ref, ArtifactRef)}


class Cell(Spec):
    """One condition on one task: the unit of comparison.

    Attributes:
        key: Hash of everything that determines the output.
        condition: Label in tables; not part of the key.
        role: What the condition is there for; not part of the key.
        control: What a control controls for, e.g. ``random`` or ``prompt``; not part of the key.
        coordinates: Where it stands on a plot's axes (strength, layer, ...); not part of the key.
        measure: Short name of what the task asks for, e.g. ``generation``; groups tables.
        purpose: What its numbers are for: results, or choices that later fragments follow from.
            Those are shown by the sections that tell of the choice, and by no others.
        model: The model, with dtype resolved.
        model_identity: Hash of weights, tokenizer and template.
        task: The task and its configuration.
        split: Which split of the task.
        samples: Key of the sample set, see ``samples/<key>.jsonl`` in the run directory.
        output: Text or options.
        rendering: How messages become prompts.
        protocol: Name of the exact procedure, kept in every record.
        intervention: What is done to the model.
        artifacts: Keys of the fitted artifacts that it needs, by the name it knows them by.
        trigger: What is cut out of its answers before a judge sees them; not part of the key, in
            which the task or the intervention stands that has it.
        sampling: How texts are drawn; None for options.
        num_samples: Completions per sample; not part of the key, because each has a random stream
            of its own: more of them extend fewer.
        reused: How many of them, from index 0 on, were taken over from another run.
        seed: Base seed of the random streams.
    """

    key: str
    condition: str
    role: Role
    control: str | None = None
    coordinates: dict[str, float | str] = Field(default_factory=dict)
    measure: str
    purpose: Purpose = "result"
    model: ModelSpec
    model_identity: str
    task: Component
    split: Split
    samples: str
    output: Output
    rendering: Rendering = "chat"
    protocol: str = ""
    intervention: Component
    artifacts: dict[str, str] = Field(default_factory=dict)
    trigger: Trigger | None = None
    sampling: SamplingParams | None = None
    num_samples: int = 1
    reused: int = 0
    seed: int = 0


class JudgePlan(Spec):
    """A judge that scores every completion of its output kind.

    Attributes:
        key: ``<name>-<hash>``: names the folder of its scores.
        component: The judge and its configuration.
        output: The kind of completion it scores.
        metrics: What it gives.
        model: The model it needs, if any.
        model_identity: Hash of that model.
        measures: Only cells with these measures; None is all cells of the judge's output kind.
        artifacts: Keys of the fitted artifacts that it needs, by the name it knows them by.
        members: Keys of the judges whose votes it counts, if it is a panel; reports show the
            panel's metrics in place of theirs.
    """

    key: str
    component: Component
    output: Output
    metrics: tuple[Metric, ...]
    model: ModelSpec | None = None
    model_identity: str | None = None
    measures: tuple[str, ...] | None = None
    artifacts: dict[str, str] = Field(default_factory=dict)
    members: tuple[str, ...] = ()

    def scores(self, cell: Cell) -> bool:
        """Return whether it scores the completions of ``cell``."""
        return cell.output == self.output and (
            self.measures is None or cell.measure in self.measures
        )


class Fragment(Spec):
    """An ordered piece of a plan; a plan is a list of them and may grow.

    Attributes:
        number: Its place, from 0.
        reason: Why it was added, in a few words; of the first one what the experiment is.
        cells: What is to be generated.
        fits: What is to be fitted.
        judges: What scores the completions of all fragments.
        without: What the plan goes on without from here on, by a name of the recipe's, with the
            reason: trials that were pruned.
        sections: What the report is made of; None is every section that has something to say.
    """

    number: int = 0
    reason: str = ""
    cells: tuple[Cell, ...] = ()
    fits: tuple[FitPlan, ...] = ()
    judges: tuple[JudgePlan, ...] = ()
    without: dict[str, str] = Field(default_factory=dict)
    sections: tuple[Component, ...] | None = None


class Plan(Spec):
    """What a recipe makes of a configuration.

    Attributes:
        format: Of the run directory.
        recipe: The recipe's name.
        name: The experiment's name.
        baseline: Condition that all others are compared with.
        headline: Metric that the finding is told in; None leaves it to the report.
        window: Rows that are generated together; a resumed run repeats whole windows, so that its
            numbers are those of an undisturbed run to the last bit.
        seed: Seed of the statistics.
        fragments: Its pieces, in order.
    """

    format: int = FORMAT
    recipe: str
    name: str
    baseline: str = "baseline"
    headline: str | None = None
    window: int = Field(default=512, ge=1)
    seed: int = 0
    fragments: tuple[Fragment, ...] = ()

    @classmethod
    def single(
        cls,
        *,
        cells: Sequence[Cell],
        fits: Sequence[FitPlan] = (),
        judges: Sequence[JudgePlan] = (),
        **head: Any,
    ) -> Plan:
        """Return a plan of one fragment; ``head`` are the fields of the plan itself."""
        reason = "the experiment as configured"
        fragment = Fragment(
            reason=reason, cells=tuple(cells), fits=tuple(fits), judges=tuple(judges)
        )
        return cls(fragments=(fragment,), **head)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of all fragments."""
        return tuple(chain.from_iterable(part.cells for part in self.fragments))

    @property
    def fits(self) -> tuple[FitPlan, ...]:
        """The fits of all fragments."""
        return tuple(chain.from_iterable(part.fits for part in self.fragments))

    @property
    def judges(self) -> tuple[JudgePlan, ...]:
        """The judges of all fragments."""
        return tuple(chain.from_iterable(part.judges for part in self.fragments))

    @property
    def sections(self) -> tuple[Component, ...] | None:
        """The sections that fragments name, each once; None if none names any."""
        named = [part.sections for part in self.fragments if part.sections is not None]
        sections: list[Component] = []
        for section in chain.from_iterable(named):
            if section not in sections:
                sections.append(section)
        return tuple(sections) if named else None

    def artifact_keys(self) -> Iterator[str]:
        """Yield the key of every artifact that fits make."""
        for fit in self.fits:
            yield from fit.artifacts.values()
