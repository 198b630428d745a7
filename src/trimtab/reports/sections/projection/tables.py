"""Tables of projections."""

from __future__ import annotations

from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Count, Value, measured
from trimtab.reports.sections.contrasts.content import Rate, told
from trimtab.reports.sections.projection.content import STEP, ProjectedOn, ProjectionContent


def projection_table(content: ProjectionContent) -> Table:
    """Return a row per condition and vector."""
    rows = tuple(
        _row(content, vector, rate) for vector in content.vectors for rate in content.on(vector)
    )
    columns = ("vector", "treatment", "trigger", "update", "projection", "of the pairs", "read")
    note = (
        "Mean over the tokens of an answer, projected onto the unit vector; means over questions "
        "and seeds with 95 % intervals. Of the pairs: 0 is where the base, asked without a "
        "system prompt, has the negative answers of the vector's contrast pairs, 1 the positive "
        "ones. The text, and not only the model, moves a projection: an answer in the trained "
        "form is another text; where a vector is added at or below that block, what was added "
        "is in the projection, too. Read: answers that have a projection, of those planned."
    )
    return Table("projection", "Projections", columns, rows, note)


def _row(content: ProjectionContent, vector: ProjectedOn, rate: Rate) -> tuple[Cell, ...]:
    step = rate.place.get(STEP)
    return (
        content.panel(vector),
        told(rate.treatment, rate.place, STEP),
        rate.trigger,
        DASH if step is None or isinstance(step, str) else f"{step:g}",
        measured(rate.mean, rate.interval, "number", clusters=rate.num_clusters),
        Value(vector.share(rate.mean), form=".2f") if vector.positive is not None else DASH,
        Count(rate.n, rate.n_planned),
    )


def vector_table(content: ProjectionContent) -> Table:
    """Return a row per vector."""
    rows = tuple(
        (
            content.panel(vector),
            vector.layer,
            *(
                DASH if number is None else Value(number, form=".3g")
                for number in (vector.vector_norm, vector.positive, vector.negative)
            ),
            DASH
            if vector.population_cosine is None
            else Value(vector.population_cosine, form=".2f"),
        )
        for vector in content.vectors
    )
    columns = ("vector", "block", "norm", "positive answers", "negative answers")
    note = (
        "Positive and negative answers: mean projection of the contrast pairs that the vector was "
        "made of, read by the base. To the population: the cosine that this many questions are "
        f"expected to reach with endlessly many. {DASH}: from a file, or too few to say."
    )
    title = "Vectors that answers are projected on"
    return Table("projection_vectors", title, (*columns, "to the population"), rows, note)
