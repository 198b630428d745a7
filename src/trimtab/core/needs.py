"""What an intervention or a judge has to have fitted, and on what, before data is read.

Planning turns each of these into keys of data (``core.plan``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.spec import Component, Split


@dataclass(frozen=True)
class Pairs:
    """Contrast pairs of a split.

    Attributes:
        split: Which split.
        task: Whose pairs; None is the task that the recipe fits on.
    """

    split: Split
    task: Component | None = None


@dataclass(frozen=True)
class Prompts:
    """The samples of a task, as prompts.

    Attributes:
        split: Which split.
        task: Whose samples; None is the task that the recipe fits on.
        label: What tells them from the prompts of another input, e.g. ``holds``.
    """

    split: Split
    task: Component | None = None
    label: str | None = None


@dataclass(frozen=True)
class Conversations:
    """Training examples of a split.

    Attributes:
        split: Which split.
        task: Whose conversations; None is the task that the recipe fits on.
        file: A file of them, in place of a task's.
        given_as: Where that file was given, for messages.
    """

    split: Split
    task: Component | None = None
    file: str | None = None
    given_as: str = ""


@dataclass(frozen=True)
class Labelled:
    """Completions of this run with the verdicts of its labelling judge.

    Attributes:
        split: Of which split their cells are.
    """

    split: Split


@dataclass(frozen=True)
class Made:
    """An artifact that another fit makes, which this one waits for.

    Attributes:
        need: Which; its inputs that name no task are of the task that this fit is on.
    """

    need: Need


Input = Pairs | Prompts | Conversations | Labelled | Made


@dataclass(frozen=True)
class Need:
    """One artifact that must be there before something can act.

    Attributes:
        component: Whose ``fit`` makes it, reduced to what determines the fit: two needs with equal
            components and inputs share one fit.
        inputs: What the fit reads, by the names under which it finds it.
        artifact: Which of the fit's artifacts; None is the first.
        reward: The judge by whose rule the fit learns, if any.
    """

    component: Component
    inputs: Mapping[str, Input] = field(default_factory=dict)
    artifact: str | None = None
    reward: Component | None = None
