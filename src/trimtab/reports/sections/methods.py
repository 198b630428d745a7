"""How the numbers were made, read off the plan: what a methods section has to say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trimtab.reports.data.source import RunSource
from trimtab.reports.draw.tables import Table

GLOSSARY = (
    ("n", "Scored of planned completions. What is missing, failed or unparsed enters no mean."),
    (
        "mean [interval]",
        "Rates are in percent. Intervals are 95 %: Wilson's where values are 0 or 1 and every "
        "question is a cluster of its own; otherwise percentiles of 2000 bootstrap resamples that "
        "draw whole clusters, such as categories.",
    ),
    (
        "Δ",
        "Mean difference over the questions that both conditions answered, with a clustered "
        "bootstrap interval. The test is exact McNemar for unclustered verdicts, else sign flips "
        "of whole clusters.",
    ),
    (
        "*",
        "p < 0.05 after Holm's correction. One family holds all treatments times all effect "
        "metrics against one reference; the baseline, the prompt and random vectors are three.",
    ),
    ("truth·info", "Truthful and informative at once, per answer; unscored if either is."),
    ("two_option", "Averaged over both orders of the two options before anything else."),
    (
        "matching, right_letter",
        "P(letter) over both letters, of the answer that shows a behaviour and of the right one; "
        "averaged over the orders that were asked before anything else.",
    ),
    (
        "perplexity ratio",
        "exp of the mean paired difference in negative log-likelihood per token on held-out text.",
    ),
    (
        "detectable",
        "The true difference that this many pairs find with 80 % power at p < 0.05, uncorrected, "
        "read off the width of the interval.",
    ),
    ("random, pooled", "Random vectors of equal norm, averaged over draws for each question."),
)


def protocol_table(run: RunSource, summary: dict[str, Any]) -> Table:
    """Return what was asked, of which model, on how many questions of which split."""
    rows = []
    for name, block in summary["measures"].items():
        cells = [c for c in run.plan.cells if c.measure == block["measure"]]
        sampling = cells[0].sampling
        drawn = "elsewhere, it is not known how"
        if cells[0].output == "options":
            drawn = "options scored, nothing drawn"
        if sampling is not None:
            drawn = f"temperature {sampling.temperature:g}, at most {sampling.max_tokens} tokens"
        seeds = sorted({cell.seed for cell in cells})
        rows.append(
            (
                name,
                ", ".join(block["protocols"]) or "no completion",
                block["split"],
                str(block["units"]),
                str(block["clusters"]),
                str(max(cell.num_samples for cell in cells)),
                drawn,
                ", ".join(map(str, seeds)),
            )
        )
    columns = ("measure", "protocol", "split", "questions", "clusters", "samples each", "drawn")
    return Table("protocol", "Protocol", (*columns, "seed"), tuple(rows))


def model_table(run: RunSource) -> Table:
    """Return the models whose answers these are."""
    models = {
        (c.model.id, c.model.revision or "", c.model.dtype, c.model_identity)
        for c in run.plan.cells
    }
    columns = ("model", "revision", "number format", "identity")
    return Table("models", "Models", columns, tuple(sorted(models)))


def judge_table(run: RunSource) -> Table:
    """Return the judges, by the model they use: a verdict is only as good as its judge."""
    rows = []
    for judge in run.judges():
        model = judge.model.id if judge.model else "none of its own"
        config = json.dumps(judge.component.config, sort_keys=True, ensure_ascii=False)
        metrics = ", ".join(metric.name for metric in judge.metrics)
        identity = judge.model_identity or ""
        rows.append((judge.key, metrics, model, identity, config if config != "{}" else ""))
    columns = ("judge", "metrics", "model", "identity", "configuration")
    return Table("judges", "Judges", columns, tuple(rows))


def condition_list(run: RunSource, summary: dict[str, Any]) -> Table:
    """Return what was done to the model in each condition."""
    first = {cell.condition: cell for cell in reversed(run.plan.cells)}
    rows = []
    for condition in summary["conditions"]:
        label = condition["condition"]
        cell = first.get(label)
        doses: Mapping[str, float] = {}
        if cell is None:
            done = "mean over " + ", ".join(condition["members"])
        else:
            doses = run.doses.get(cell.key, {})
            config = json.dumps(cell.intervention.config, sort_keys=True, ensure_ascii=False)
            done = cell.intervention.name + (f" {config}" if config != "{}" else "")
        strengths = (f"{doses[unit]:.4g}" if unit in doses else "" for unit in _UNITS)
        rows.append((label, condition["group"], *strengths, done))
    columns = ["condition", "what it is there for", *_UNITS, "intervention"]
    if not any(any(row[2:-1]) for row in rows):
        plain = tuple((*row[:2], row[-1]) for row in rows)
        return Table("conditions", "Conditions", (*columns[:2], columns[-1]), plain)
    note = (
        "raw: multiple of the vector; unit: length of what is added; relative: that length over "
        "the mean residual norm at the layer."
    )
    return Table("conditions", "Conditions", tuple(columns), tuple(rows), note)


_UNITS = ("raw", "unit", "relative")


def artifact_table(run: RunSource) -> Table | None:
    """Return how far each fitted vector can be trusted, by layer; of one from a file, its norms.

    None for a run without vectors.
    """
    rows, names = [], artifact_names(run)
    for artifact in run.plan.artifacts:
        info = run.artifact_info(artifact.key) or {}
        lost = info.get("num_dropped", 0)
        for layer, found in sorted(info.get("layers", {}).items(), key=lambda item: int(item[0])):
            trust = found.get("reliability", {})
            figures = (trust.get(name) for name in _TRUST)
            rows.append(
                (
                    f"{names[artifact.key]}, block {layer}",
                    str(info.get("num_pairs", "")) + (f", {lost} left out" if lost else ""),
                    str(info.get("num_questions", "")),
                    f"{found['vector_norm']:.3g}",
                    f"{found['residual_norm']:.3g}",
                    *("" if x is None else f"{x:.2f}" for x in figures),
                )
            )
    if not rows:
        return None
    columns = ("vector", "pairs", "questions", "norm", "residual norm", "mean cosine")
    trusts = ("halves, measured", "halves, predicted", "to the population")
    note = (
        "Mean cosine: between the differences of single questions. Halves: cosine of the means of "
        "two random halves, measured and as the mean cosine predicts. To the population: the "
        "cosine this many questions are expected to reach with endlessly many. Left out: pairs "
        "whose activations are NaN or infinite."
    )
    return Table("vectors", "Vectors", (*columns, *trusts), tuple(rows), note)


def artifact_names(run: RunSource) -> dict[str, str]:
    """Return what each fitted artifact is called, by key: its intervention.

    Where an intervention was fitted on several tasks, the series that uses the fit is added.
    """
    fitted = [artifact.component.name for artifact in run.plan.artifacts]
    names = {}
    for artifact in run.plan.artifacts:
        name = artifact.component.name
        used = {
            str(cell.coordinates.get("series", ""))
            for cell in run.plan.cells
            if cell.artifact == artifact.key and cell.intervention.name == name
        }
        several = fitted.count(name) > 1 and len(used) == 1
        names[artifact.key] = f"{name}, {used.pop()}" if several else name
    return names


def bank_table(run: RunSource) -> Table | None:
    """Return what each size of a bank is worth, and the steerability of single pairs."""
    rows = []
    for artifact, layer, found in _fitted_layers(run):
        if "curve" not in found:
            continue
        needed, steered = found["questions_needed"], found["steerability"] or {}
        for size in found["sizes"]:
            rows.append(
                (
                    f"{artifact}, block {layer}",
                    str(size["used"]),
                    f"{size['mean_cosine']:.3f}",
                    *("never" if needed[c] is None else str(needed[c]) for c in ("0.9", "0.95")),
                    "" if not steered else f"{steered['mean']:.3g} (sd {steered['sd']:.3g})",
                    "" if not steered else f"{100 * steered['anti_steered']:.0f} %",
                )
            )
    if not rows:
        return None
    columns = ("bank", "questions", "cosine of vectors", "for 0.9", "for 0.95", "steerability")
    note = (
        "Questions: in each vector. Cosine of vectors: mean over pairs of the bank's vectors, "
        "which share questions. For 0.9, 0.95: questions that give a vector that cosine with "
        "endlessly many's. Steerability: change of log P(positive) - log P(negative) in nats per "
        "multiple of the vector, mean over pairs; anti-steered: pairs where it is negative."
    )
    return Table("bank", "Vector bank", (*columns, "anti-steered"), tuple(rows), note)


def curve_table(run: RunSource) -> Table | None:
    """Return each bank's reliability by the number of questions, beside what the law predicts."""
    rows = [
        (
            f"{artifact}, block {layer}",
            str(point["n"]),
            f"{point['measured']:.3f}",
            f"{point['predicted']:.3f}",
            f"{point['measured'] - point['predicted']:+.3f}",
        )
        for artifact, layer, found in _fitted_layers(run)
        for point in found.get("curve", ())
    ]
    if not rows:
        return None
    columns = ("bank", "questions in each half", "cosine, measured", "predicted", "difference")
    note = (
        "Cosine between the means of two disjoint random sets of questions, and n rho / "
        "(1 + (n - 1) rho), with rho the mean cosine between the differences of single questions. "
        "Two disjoint sets exist only up to half of the questions."
    )
    return Table("reliability", "Reliability of the bank", columns, tuple(rows), note)


def layer_table(run: RunSource) -> Table | None:
    """Return why a layer was chosen; None where every layer was named."""
    rows, reasons = [], []
    names = artifact_names(run)
    for artifact in run.plan.artifacts:
        choice = (run.artifact_info(artifact.key) or {}).get("layer_choice")
        if choice is None:
            continue
        reasons.append(f"{names[artifact.key]}: {choice['why']}.")
        for layer, score in sorted(choice["scores"].items(), key=lambda item: int(item[0])):
            mark = " (chosen)" if int(layer) == choice["chosen"] else ""
            figures = (score[name] for name in ("probe", "transfer", "lens", "mean_rank"))
            name = f"{names[artifact.key]}, block {layer}{mark}"
            rows.append((name, *(f"{x:.3f}" for x in figures)))
    if not rows:
        return None
    columns = ("layer", "probe accuracy", "cosine to fit vector", "logit lens", "mean rank")
    note = "Measured on the select split; the test split was not seen. " + " ".join(reasons)
    return Table("layers", "Choice of layer", columns, tuple(rows), note)


def _fitted_layers(run: RunSource) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (name, layer, what is known) of every fitted layer."""
    names = artifact_names(run)
    for artifact in run.plan.artifacts:
        layers = (run.artifact_info(artifact.key) or {}).get("layers", {})
        for layer, found in sorted(layers.items(), key=lambda item: int(item[0])):
            yield names[artifact.key], layer, found


_TRUST = ("mean_cosine", "split_half_measured", "split_half_predicted", "population_cosine")
