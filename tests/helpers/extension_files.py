"""A user's folder: a task, an intervention, two judges, a section and a recipe of their own."""

from pathlib import Path

TASK = '''
"""tasks/parity.py: is a number even?"""

from trimtab.core.spec import Spec
from trimtab.core.types import ContrastPair, Message, Sample, SamplingParams
from trimtab.tasks.base import Task

__all__ = ["Parity"]

START = {"fit": 0, "select": 100, "test": 200}


class Config(Spec):
    """How many numbers each split has."""

    count: int = 8


class Parity(Task[Config]):
    """Numbers in words that a judge can check."""

    Config = Config
    measure = "parity"
    rendering = "plain"
    protocol = "parity/plain"

    def samples(self, split):
        """Return a question per number."""
        numbers = range(START[split], START[split] + self.config.count)
        return [
            Sample(id=f"n{n:03d}", messages=(Message(role="user", content=f"Is {n} even?"),))
            for n in numbers
        ]

    def pairs(self, split):
        """Return the right answer against the wrong one."""
        return [
            ContrastPair(
                id=sample.id,
                question_id=sample.id,
                messages=sample.messages,
                positive="yes it is",
                negative="no not at all",
            )
            for sample in self.samples(split)
        ]

    def sampling(self):
        """Return short greedy answers."""
        return SamplingParams(max_tokens=6)
'''

INTERVENTION = '''
"""interventions/shift.py: a direction from the last token of answers, in a fit of its own."""

import torch

from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.engine.request import Edit
from trimtab.interventions.base import Intervention, Treatment
from trimtab.steering.additive import AdditiveConfig
from trimtab.steering.fitted import Fitted
from trimtab.steering.pairs import pair_inputs, read_pairs

__all__ = ["Shift"]


class Shift(Intervention[AdditiveConfig]):
    """Adds the sign of the mean difference."""

    Config = AdditiveConfig

    def needs(self):
        """Return the fit of the direction."""
        component = Component(name="shift", config={"layer": self.config.layer})
        return {"vector": Need(component, pair_inputs())}

    def fit(self, context):
        """Return the direction [H] of the layer."""
        layer = self.config.layer
        with read_pairs(context, context.pairs, (layer,), "last") as rows:
            positive_NH, negative_NH = rows.answers(layer)
        direction_H = (positive_NH - negative_NH).mean(dim=0).sign().float()
        return Fitted({f"l{layer}.direction": direction_H}, {"method": "sign"})

    def treat(self, fitted):
        """Return one edit."""
        direction_H = fitted["vector"].tensors[f"l{self.config.layer}.direction"]
        config = self.config
        edit = Edit(config.layer, direction_H, config.strength, config.positions)
        return Treatment(edits=(edit,))
'''

LABELS = '''
"""judges/odd_letters.py: labels that every text has."""

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import ItemJudge, Verdict

__all__ = ["OddLetters"]


class Config(Spec):
    """Nothing to configure."""


class OddLetters(ItemJudge[Config]):
    """Whether a text has an odd number of characters."""

    Config = Config
    metrics = (Metric(name="odd", kind="binary", role="effect"),)

    def verdict(self, item):
        """Return the verdict on one text."""
        return Verdict({"odd": float(len(item.completion.text) % 2)})
'''

LEARNED = '''
"""judges/usual_length.py: learns how long right answers are, and scores the distance to that."""

import torch

from trimtab.core.needs import Labelled, Need
from trimtab.core.spec import Component, Metric, Spec
from trimtab.judges.base import Judge, Verdict
from trimtab.steering.fitted import Fitted

__all__ = ["UsualLength"]


class Config(Spec):
    """Nothing to configure."""


class UsualLength(Judge[Config]):
    """The distance to the mean length of right answers, in characters."""

    Config = Config
    resource = "fitted"
    MAKES = ("length",)
    metrics = (Metric(name="unusual", kind="number", role="damage", higher_is_better=False),)

    def needs(self):
        """Return the fit on labelled answers of the fit split."""
        return {"length": Need(Component(name="usual_length"), {"fit": Labelled("fit")})}

    @property
    def on_model(self):
        """No model takes part."""
        return False

    def fit(self, context):
        """Return the mean length."""
        lengths = [len(row.completion.text) for row in context.completions["fit"] if row.reward]
        mean = sum(lengths) / max(1, len(lengths))
        return Fitted({"mean": torch.tensor(mean)}, {"num_answers": len(lengths)})

    def score(self, items, resource):
        """Yield the distance of each owed text."""
        mean = float(resource["length"].tensors["mean"])
        for number, item in enumerate(items):
            if item.owed:
                yield number, Verdict({"unusual": abs(len(item.completion.text) - mean)})
'''

RECIPE = '''
"""recipes/staged.py: looks at the baseline, then tries two strengths, one after the other."""

from trimtab.core.spec import Component
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.judges import LearnsFrom

__all__ = ["Staged"]

TASK = Component(name="parity")


class Staged(Recipe[RecipeConfig]):
    """Its plan grows by two fragments."""

    Config = RecipeConfig
    title = "Strengths that depend on what was found before"

    def declare(self, planner):
        """Add the baseline on all splits, the labels, and the judge that learns from them."""
        cells = {
            split: planner.add_cell(
                condition="baseline",
                role="baseline",
                task=TASK,
                split=split,
                measure="parity" if split == "test" else f"parity, {split} split",
                intervention=Component(name="none"),
            )
            for split in ("fit", "test")
        }
        labels = planner.add_judge(Component(name="odd_letters"))
        learns = LearnsFrom([cells["fit"]], [], labels, metric="odd")
        planner.add_judge(Component(name="usual_length"), learns_from=learns)
        planner.report("effects", "damage", "lengths")

    def grow(self, run):
        """Add a strength that follows from the texts that are there."""
        number = len(run.plan.fragments)
        if number > 2:
            return None
        planner = self.planner(fit_on=TASK)
        (base,) = [c for c in run.plan.cells if c.role == "baseline" and c.split == "test"]
        characters = sum(len(row.text) for row in run.completions(base.key).values())
        strength = number * (1.0 + characters % 7)
        planner.add_cell(
            condition=f"shift {strength:+g}",
            role="treatment",
            task=TASK,
            split="test",
            intervention=Component(name="shift", config={"layer": 1, "strength": strength}),
            coordinates={"series": "shift", "strength": strength, "layer": 1},
        )
        return planner.fragment(run.plan, f"strength {strength:g}")
'''

SECTION = '''
"""sections/lengths.py: how long answers are."""

from trimtab.reports.data.content import Content
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Finding, NoConfig, Section

__all__ = ["Lengths"]


class LengthsContent(Content):
    """Mean characters by condition."""

    means: dict[str, float]


class Lengths(Section[NoConfig, LengthsContent]):
    """A table, a figure and a sentence."""

    Config = NoConfig

    def read(self, run):
        """Return the mean length of each condition's texts."""
        texts = {}
        for block in run.blocks:
            for condition, rows in block.conditions.items():
                some = [len(c.text) for c in rows.completions.values() if c.text is not None]
                texts.setdefault(condition, []).extend(some)
        return LengthsContent(means={c: sum(n) / len(n) for c, n in texts.items() if n})

    def tables(self, view):
        """Return a row per condition."""
        rows = tuple(view.content.means.items())
        return [Table("lengths", "Lengths", ("condition", "characters"), rows)]

    def figures(self, view):
        """Return a bar per condition."""
        rows = tuple(view.content.means.items())

        def plot(canvas):
            canvas.subplots().bar([name for name, _ in rows], [mean for _, mean in rows])

        columns = ("condition", "characters")
        return [Figure("lengths", "Mean length of answers.", columns, rows, (6.0, 3.0), plot)]

    def finding(self, view):
        """Return which condition writes most."""
        longest = max(view.content.means, key=view.content.means.get)
        return Finding(99, f"The longest answers are those of {longest}.")
'''

FILES = {
    "tasks/parity.py": TASK,
    "interventions/shift.py": INTERVENTION,
    "judges/odd_letters.py": LABELS,
    "judges/usual_length.py": LEARNED,
    "recipes/staged.py": RECIPE,
    "sections/lengths.py": SECTION,
}


def write_extension(folder: Path) -> Path:
    """Write the files into ``folder``; return it."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    return folder
