"""Judges that need no model and tell what they were asked; texts for them to score."""

import json
from pathlib import Path
from typing import Any

from trimtab.core.plan import Cell
from trimtab.core.types import Completion, Message, Sample
from trimtab.runs.store.run import Run

_PROBE = '''
"""Scores lengths; writes down what it is asked, and does what a file tells it to do first."""

import json
from pathlib import Path

from trimtab.core.errors import StoreError, UnansweredError
from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Judge, Verdict

__all__ = ["Probe"]


class Config(Spec):
    folder: str
    name: str = "probe"


class Probe(Judge[Config]):
    Config = Config
    metrics = (Metric(name="length", kind="number", role="effect"),)

    def score(self, items, resource):
        folder = Path(self.config.folder)
        with (folder / f"{self.config.name}.jsonl").open("a") as file:
            asked = [[*item.completion.key, item.owed] for item in items]
            file.write(json.dumps(asked) + "\\n")
        order = folder / f"{self.config.name}.order"
        code = order.read_text() if order.exists() else ""
        for number, item in enumerate(items):
            if item.owed:
                names = {"StoreError": StoreError, "UnansweredError": UnansweredError}
                exec(code, {**names, "number": number, "order": order})
                yield number, Verdict({"length": float(len(item.completion.text))})
'''

_LABELS = '''
"""Whether a text has an even number of characters; unscored where it is empty."""

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import ItemJudge, Verdict

__all__ = ["Even"]


class Config(Spec):
    broken: bool = False


class Even(ItemJudge[Config]):
    Config = Config
    metrics = (Metric(name="correct", kind="binary", role="effect"),)

    def verdict(self, item):
        if self.config.broken:
            raise ValueError("no labels today")
        if not item.completion.text:
            return self.unscored("empty")
        return Verdict({"correct": float(len(item.completion.text) % 2 == 0)})
'''

_LEARNED = '''
"""Learns the mean length of right answers."""

import torch

from trimtab.core.needs import Labelled, Need
from trimtab.core.spec import Component, Metric, Spec
from trimtab.judges.base import Judge, Verdict
from trimtab.steering.fitted import Fitted

__all__ = ["Usual"]


class Config(Spec):
    pass


class Usual(Judge[Config]):
    Config = Config
    resource = "fitted"
    on_model = False
    MAKES = ("length",)
    metrics = (Metric(name="unusual", kind="number", role="effect"),)

    def needs(self):
        return {"length": Need(Component(name="usual"), {"fit": Labelled("fit")})}

    def fit(self, context):
        lengths = [len(row.completion.text) for row in context.completions["fit"] if row.reward]
        mean = sum(lengths) / len(lengths)
        return Fitted({"mean": torch.tensor(mean)}, {"num_answers": len(lengths)})

    def score(self, items, resource):
        mean = float(resource["length"].tensors["mean"])
        for number, item in enumerate(items):
            if item.owed:
                yield number, Verdict({"unusual": abs(len(item.completion.text) - mean)})
'''

_FILES = {"probe": _PROBE, "even": _LABELS, "usual": _LEARNED}


def write_members(folder: Path) -> Path:
    """Write the judges into a folder for TRIMTAB_PATH; return it."""
    (folder / "judges").mkdir(parents=True)
    for name, code in _FILES.items():
        (folder / "judges" / f"{name}.py").write_text(code.lstrip(), encoding="utf-8")
    return folder


def asked_of(folder: Path, name: str = "probe") -> list[list[list[Any]]]:
    """Return the windows that a probe was given: cell, sample, index and whether it is owed."""
    path = folder / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def samples_of(cell: Cell) -> list[Sample]:
    asked = [Message(role="user", content=f"{cell.samples} {i}?") for i in "abc"]
    return [Sample(id=i, messages=(m,)) for i, m in zip("abc", asked, strict=True)]


def write_texts(run: Run, cell: Cell, *samples: str) -> None:
    """Write the completions of some samples of a cell; that of b has an odd length."""
    with run.completion_writer(1, cell.key) as writer:
        for sample in samples:
            text = "odd" if sample == "b" else f"even{sample * 2}"
            row = Completion(
                cell=cell.key, sample_id=sample, protocol="p", num_prompt_tokens=1, text=text,
                finish_reason="eos",
            )  # fmt: skip
            writer.append([row])
