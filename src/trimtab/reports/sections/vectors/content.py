"""What is known of fitted vectors, typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.reports.data.content import Content
from trimtab.reports.data.fits import artifact_names, fitted_artifacts
from trimtab.reports.data.source import RunSource


class Reliability(Content):
    """How far a vector can be trusted; None where too few questions say nothing.

    Attributes:
        mean_cosine: Between the differences of single questions.
        split_half_measured: Cosine of the means of two random halves.
        split_half_predicted: The same as the mean cosine predicts.
        population_cosine: The cosine that this many questions are expected to reach with endlessly
            many.
    """

    mean_cosine: float | None = None
    split_half_measured: float | None = None
    split_half_predicted: float | None = None
    population_cosine: float | None = None


class BankSize(Content):
    """One size of a bank: questions asked for and used per vector, and how alike vectors are."""

    asked: int
    used: int
    share: float
    mean_cosine: float | None


class CurvePoint(Content):
    """Cosine between the means of two disjoint sets of ``n`` questions."""

    n: int
    measured: float | None
    predicted: float | None


class Steerability(Content):
    """Slope over single pairs in nats per multiple of the vector."""

    mean: float
    sd: float
    anti_steered: float


class FittedLayer(Content):
    """A fitted layer; the last four fields are those of a bank."""

    layer: int
    vector_norm: float
    residual_norm: float
    reliability: Reliability
    sizes: tuple[BankSize, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    questions_needed: dict[str, int | None] | None = None
    steerability: Steerability | None = None


class LayerScore(Content):
    """Scores of one candidate layer on the select split."""

    layer: int
    probe: float
    transfer: float
    lens: float
    mean_rank: float


class LayerChoice(Content):
    """The layer that was chosen, why, and the scores of all candidates."""

    chosen: int
    why: str
    scores: tuple[LayerScore, ...]


class FittedVector(Content):
    """One fit.

    Attributes:
        name: Its intervention, with the series that uses it where there are several.
        key: Key of the artifact.
        num_pairs: Contrast pairs that were used; None of a vector from a file.
        num_questions: Questions that they ask.
        num_dropped: Pairs that were left out, because an activation was NaN or infinite.
        layers: By block.
        layer_choice: How the layer was chosen; None where it was named.
    """

    name: str
    key: str
    num_pairs: int | None = None
    num_questions: int | None = None
    num_dropped: int = 0
    layers: tuple[FittedLayer, ...] = ()
    layer_choice: LayerChoice | None = None


class VectorsContent(Content):
    """Every fitted vector in plan order."""

    vectors: tuple[FittedVector, ...]


def read_vectors(run: RunSource) -> VectorsContent | None:
    """Return what is known of a run's fits; None for a run without vectors."""
    names = artifact_names(run.plan)
    vectors = []
    for _, key in fitted_artifacts(run.plan):
        info = run.artifact_info(key) or {}
        layers, choice = _layers(info), info.get("layer_choice")
        if layers or choice is not None:
            more = {} if choice is None else {"layer_choice": _choice(choice)}
            fit = {k: v for k, v in info.items() if k not in ("layers", "layer_choice")}
            vectors.append(FittedVector.pick(fit, layers=layers, name=names[key], key=key, **more))
    return VectorsContent(vectors=tuple(vectors)) if vectors else None


def _layers(info: Mapping[str, Any]) -> tuple[FittedLayer, ...]:
    return tuple(
        _layer(int(layer), fit)
        for layer, fit in sorted(info.get("layers", {}).items(), key=lambda item: int(item[0]))
    )


def _layer(layer: int, fit: Mapping[str, Any]) -> FittedLayer:
    steered = fit.get("steerability")
    return FittedLayer(
        layer=layer,
        vector_norm=fit["vector_norm"],
        residual_norm=fit["residual_norm"],
        reliability=Reliability.pick(fit.get("reliability", {})),
        sizes=tuple(BankSize.pick(size) for size in fit.get("sizes", ())),
        curve=tuple(CurvePoint.pick(point) for point in fit.get("curve", ())),
        questions_needed=fit.get("questions_needed"),
        steerability=Steerability.pick(steered) if steered else None,
    )


def _choice(choice: Mapping[str, Any]) -> LayerChoice:
    ranked = sorted(choice["scores"].items(), key=lambda item: int(item[0]))
    scores = tuple(LayerScore.pick(score, layer=int(layer)) for layer, score in ranked)
    return LayerChoice(chosen=choice["chosen"], why=choice["why"], scores=scores)
