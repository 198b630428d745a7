"""Tables of fitted vectors; one without rows is not shown."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value
from trimtab.reports.sections.vectors.content import FittedLayer, FittedVector, VectorsContent


def vector_table(content: VectorsContent) -> Table:
    """Return how far each fitted vector can be trusted, by layer; of one from a file, its norms."""
    rows: list[tuple[Cell, ...]] = []
    for name, vector, layer in _layers(content):
        trust = layer.reliability
        pairs = "" if vector.num_pairs is None else str(vector.num_pairs)
        lost = f", {vector.num_dropped} left out" if vector.num_dropped else ""
        rows.append(
            (
                name,
                pairs + lost,
                vector.num_questions,
                *(Value(layer.vector_norm, form=".3g"), Value(layer.residual_norm, form=".3g")),
                *(_known(trust.mean_cosine), _known(trust.split_half_measured)),
                *(_known(trust.split_half_predicted), _known(trust.population_cosine)),
            )
        )
    columns = ("vector", "pairs", "questions", "norm", "residual norm", "mean cosine")
    trusts = ("halves, measured", "halves, predicted", "to the population")
    note = (
        "Mean cosine: between the differences of single questions. Halves: cosine of the means of "
        "two random halves, measured and as the mean cosine predicts. To the population: the "
        "cosine this many questions are expected to reach with endlessly many. Left out: pairs "
        "whose activations are NaN or infinite."
    )
    return Table("vectors", "Vectors", (*columns, *trusts), tuple(rows), note)


def _known(value: float | None) -> Value | None:
    return None if value is None else Value(value, form=".2f")


def bank_table(content: VectorsContent) -> Table:
    """Return what each size of a bank is worth, and the steerability of single pairs."""
    rows: list[tuple[Cell, ...]] = []
    for name, _, layer in _layers(content):
        needed, steered = layer.questions_needed or {}, layer.steerability
        for size in layer.sizes:
            rows.append(
                (
                    name,
                    size.used,
                    Value(size.mean_cosine, form=".3f"),
                    *("never" if needed[c] is None else needed[c] for c in ("0.9", "0.95")),
                    None if steered is None else f"{steered.mean:.3g} (sd {steered.sd:.3g})",
                    None
                    if steered is None
                    else Value(100 * steered.anti_steered, form=".0f", suffix=" %"),
                )
            )
    columns = ("bank", "questions", "cosine of vectors", "for 0.9", "for 0.95", "steerability")
    note = (
        "Questions: in each vector. Cosine of vectors: mean over pairs of the bank's vectors, "
        "which share questions. For 0.9, 0.95: questions that give a vector that cosine with "
        "endlessly many's. Steerability: change of log P(positive) - log P(negative) in nats per "
        "multiple of the vector, mean over pairs; anti-steered: pairs where it is negative."
    )
    return Table("bank", "Vector bank", (*columns, "anti-steered"), tuple(rows), note)


def curve_table(content: VectorsContent) -> Table:
    """Return each bank's reliability by the number of questions, beside what the law predicts."""
    rows = tuple(
        (
            name,
            point.n,
            *(Value(point.measured, form=".3f"), Value(point.predicted, form=".3f")),
            Value(_difference(point.measured, point.predicted), form="+.3f"),
        )
        for name, _, layer in _layers(content)
        for point in layer.curve
    )
    columns = ("bank", "questions in each half", "cosine, measured", "predicted", "difference")
    note = (
        "Cosine between the means of two disjoint random sets of questions, and n rho / "
        "(1 + (n - 1) rho), with rho the mean cosine between the differences of single questions. "
        "Two disjoint sets exist only up to half of the questions."
    )
    return Table("reliability", "Reliability of the bank", columns, rows, note)


def _difference(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def layer_table(content: VectorsContent) -> Table:
    """Return why each layer was chosen; without rows where every layer was named."""
    rows: list[tuple[Cell, ...]] = []
    reasons = []
    for vector in content.vectors:
        choice = vector.layer_choice
        if choice is None:
            continue
        reasons.append(f"{vector.name}: {choice.why}.")
        for score in choice.scores:
            mark = " (chosen)" if score.layer == choice.chosen else ""
            figures = (score.probe, score.transfer, score.lens, score.mean_rank)
            name = f"{vector.name}, block {score.layer}{mark}"
            rows.append((name, *(Value(figure, form=".3f") for figure in figures)))
    columns = ("layer", "probe accuracy", "cosine to fit vector", "logit lens", "mean rank")
    note = "Measured on the select split; the test split was not seen. " + " ".join(reasons)
    return Table("layers", "Choice of layer", columns, tuple(rows), note)


def _layers(content: VectorsContent) -> Iterator[tuple[str, FittedVector, FittedLayer]]:
    """Yield (name, fit, layer) of every fitted layer."""
    for vector in content.vectors:
        for layer in vector.layers:
            yield f"{vector.name}, block {layer.layer}", vector, layer
