"""How far along a vector an answer's states lie, in the model that gave it, as it was asked.

The vector is the one that ``caa`` fits on contrast pairs, of the task's or of a person's, or one
from a file. A model that took on a trait lies further along the trait's vector before anybody sees
it in the text (Chen et al. 2025, arXiv 2507.21509). It is a measurement of the model, so this judge
is told what was done to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field, NonNegativeInt

from trimtab.core.errors import JudgeError
from trimtab.core.needs import Need
from trimtab.core.spec import Metric
from trimtab.judges.base import Item, Judge, LoadContext, Resource, Verdict
from trimtab.steering.directions import DirectionConfig
from trimtab.steering.projections import Projecting, Projector

__all__ = ["Projection"]

_OWNER = "judge 'projection'"


class ProjectionConfig(DirectionConfig):
    """Onto which vector, see ``DirectionConfig``.

    Attributes:
        layer: 0-based block whose states are read.
        metric: Name of the number.
    """

    layer: NonNegativeInt
    metric: str = Field(default="projection", min_length=1)


class Projection(Judge[ProjectionConfig]):
    """Mean projection of an answer's hidden states onto a unit vector.

    It reads the text again, form and all, under the same prompt, edits and adapter. An answer whose
    strength was chosen token by token, or one of another model, is unscored.
    """

    Config = ProjectionConfig
    resource = "fitted"
    READS_FORM = True
    READS_MODEL = True

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One number, in the unit of the residual stream; neither direction is better."""
        return (
            Metric(name=self.config.metric, kind="number", role="effect", higher_is_better=None),
        )

    def needs(self) -> dict[str, Need]:
        """Return the fit of the vector, which a condition ``caa`` on the same pairs shares."""
        need = self.config.need(self.config.layer)
        return {} if need is None else {"vector": need}

    @property
    def determining(self) -> ProjectionConfig:
        """The configuration without the file's path: its content counts."""
        return self.config.model_copy(update={"file": None})

    @property
    def fingerprint(self) -> dict[str, str]:
        """The content of the file, where there is one; raise ConfigError if it is gone."""
        content = self.config.content(_OWNER)
        return {} if content is None else {"file": content}

    def load(self, context: LoadContext) -> Projecting:
        """Return what reads answers; raise ConfigError if the vector is of another model."""
        assert context.model is not None
        layer = self.config.layer
        fitted = None if self.config.file is not None else context.fitted("vector")
        vector_H = self.config.vector(layer, fitted, _OWNER)
        return Projector(context.model.engine(), layer, vector_H)

    def score(self, items: Sequence[Item], resource: Resource) -> Iterator[tuple[int, Verdict]]:
        """Score all items in batches; one without a text, or that can't be read, is unscored.

        Raises:
            JudgeError: ``resource`` does not read answers.
        """
        if not isinstance(resource, Projecting):
            raise JudgeError("The judge 'projection' was given nothing that reads answers.")
        numbers, rows = [], []
        for number, item in enumerate(items):
            problem = self.missing(item) or _unreadable(item)
            if problem is None:
                assert item.asked is not None
                numbers.append(number)
                rows.append((item.asked, item.completion.text or ""))
            elif item.owed:
                yield number, self.unscored(problem)
        for i, value in resource.projections(rows, [items[n].owed for n in numbers]):
            if value is None:
                yield numbers[i], self.unscored("the text has more tokens than the model reads")
            else:
                yield numbers[i], Verdict({self.config.metric: value})


def _unreadable(item: Item) -> str | None:
    if not (item.completion.text or "").strip():
        return "the text is blank"
    if item.asked is None:
        return "the model can't be asked again as it was for this text"
    return None
