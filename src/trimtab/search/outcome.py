"""Who won, and by how much the search flatters its winner.

The score by which a configuration was chosen is too high, for it was chosen by that score. Two
things say how much: its score on problems that no trial saw, and a bootstrap of the choice itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trimtab.search.settings import SearchSettings
from trimtab.search.trials import PROMPT, Trial, objectives

_REPLICATES = 2000


def ranked(trials: Sequence[Trial], settings: SearchSettings, high: bool) -> list[Trial]:
    """Return complete trials that keep to the constraints, best first; the earlier of equals.

    The baseline and the prompt are not among them.
    """
    candidates = [
        trial
        for trial in trials
        if trial.number > PROMPT and trial.state == "complete" and trial.is_feasible(settings)
    ]
    return sorted(candidates, key=lambda t: (-_value(t) if high else _value(t), t.number))


def fronts(
    trials: Sequence[Trial], settings: SearchSettings, higher: Sequence[bool]
) -> list[list[Trial]]:
    """Return trials by Pareto front, the best by the first objective first within each.

    Of a trial on the first front nothing is better in both objectives, or in one and as good in the
    other; of one on the second front only trials of the first are. Complete trials that keep to the
    constraints and have both values take part.
    """
    signs = [1 if high else -1 for high in higher]
    points = {
        trial.number: tuple(s * v for s, v in zip(signs, values, strict=True))
        for trial in trials
        if (values := objectives(trial, settings)) is not None
    }
    left = [trial for trial in ranked(trials, settings, higher[0]) if trial.number in points]
    found = []
    while left:
        others = [points[trial.number] for trial in left]
        front = [t for t in left if not any(_beats(p, points[t.number]) for p in others)]
        found.append(front)
        left = [trial for trial in left if trial not in front]
    return found


def to_confirm(
    trials: Sequence[Trial], settings: SearchSettings, higher: Sequence[bool]
) -> list[Trial]:
    """Return the ``top`` trials that are compared again.

    With one objective its best; with two the Pareto front, where that is short the next one too,
    and where it is long those that are best by the first objective.
    """
    if settings.second is None:
        return ranked(trials, settings, higher[0])[: settings.top]
    ordered = [trial for front in fronts(trials, settings, higher) for trial in front]
    return ordered[: settings.top]


def _beats(point: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return point != other and all(a >= b for a, b in zip(point, other, strict=True))


def best_confirmed(
    confirmed: Mapping[int, float | None],
    order: Sequence[Trial],
    high: bool,
    leak: bool = False,
) -> Trial | None:
    """Return the best on the confirm problems; of equals the better one on the select problems.

    Args:
        confirmed: Mean objective there, by number; None of one that failed.
        order: Trials, best on select first.
        high: Whether the objective is to be high.
        leak: Choose by the select problems, as ``SearchSettings.leak``.
    """
    sign = 1 if high else -1
    means = {number: mean for number, mean in confirmed.items() if mean is not None}
    candidates = [trial for trial in order if trial.number in means]
    if leak:
        return next(iter(candidates), None)
    return max(candidates, key=lambda trial: sign * means[trial.number], default=None)


def failures_in_a_row(trials: Sequence[Trial]) -> int:
    """Return how many trials failed one after the other, up to the last one that has ended."""
    ended = [t for t in trials if t.number > PROMPT and t.state != "running"]
    count = 0
    for trial in reversed(ended):
        if trial.state != "failed":
            break
        count += 1
    return count


def optimism(trials: Sequence[Trial], high: bool, seed: int) -> float | None:
    """Return by how much the best of ``trials`` looks better than it is, in the metric's units.

    Efron's bootstrap of the choice (1983): problems are drawn anew, the best trial is chosen anew,
    and its value on the drawn problems is compared with its value on all; the mean of that
    difference over 2,000 draws. Positive for a metric that is to be high. Only problems that every
    trial was scored on take part. Where all trials are alike it is too small, because their chance
    differences count as true ones (0.10 for 0.16 among thirty coins on forty problems): the confirm
    step is what to trust.

    Args:
        trials: Complete trials that were chosen among.
        high: Whether the metric is to be high.
        seed: Of the draws.

    Returns:
        None with fewer than two trials or problems.
    """
    shared = sorted(set.intersection(*(set(t.values) for t in trials))) if trials else []
    if len(trials) < 2 or len(shared) < 2:
        return None
    values_TP = np.array([[trial.values[s] for s in shared] for trial in trials])
    sign = 1 if high else -1
    rng = np.random.default_rng(seed)
    drawn_RP = rng.integers(len(shared), size=(_REPLICATES, len(shared)))
    counts_RP = np.stack([np.bincount(row, minlength=len(shared)) for row in drawn_RP])
    drawn_TR = values_TP @ counts_RP.T / len(shared)
    best_R = (sign * drawn_TR).argmax(axis=0)
    gain_R = drawn_TR[best_R, np.arange(_REPLICATES)] - values_TP.mean(axis=1)[best_R]
    return float(gain_R.mean())


def best_of_method(
    order: Sequence[Trial], label: Mapping[int, str], without: str
) -> dict[str, Trial]:
    """Return the best trial of each method but one, by the method's label.

    Args:
        order: Trials, best first.
        label: Method of each trial, by number.
        without: The winner's method.
    """
    best: dict[str, Trial] = {}
    for trial in order:
        if label[trial.number] != without:
            best.setdefault(label[trial.number], trial)
    return best


def _value(trial: Trial) -> float:
    assert trial.value is not None
    return trial.value
