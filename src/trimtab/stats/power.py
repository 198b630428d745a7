"""What a comparison can find at all, and in four runs of five: of the test that is used.

Sign flips of C clusters give no p-value below 2^(1 - C), and exact McNemar none below 2^(1 - d)
with d answers that changed. Where a correction asks for less than that, no effect of any size can
be established.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy("scipy.special")

POWER = 0.8
# Of random sign flips, see ``paired.sign_flip_test``.
_FLIPS = 10_000
# What the coarseness of few sign patterns costs beside the t test, fitted to simulations.
_COARSE = 0.3


def least_p(clusters: int) -> float:
    """Return the smallest p-value that flipping the signs of this many clusters can give."""
    exact = 2.0 ** (1 - clusters)
    return exact if clusters <= 12 else max(exact, 1 / (1 + _FLIPS))


def clusters_needed(significance: float) -> int | None:
    """Return how many clusters must change for a p-value below ``significance``, all one way.

    None where no number of them is enough: more tests are corrected than random flips can tell.
    """
    needed = next(c for c in range(1, 2000) if 2.0 ** (1 - c) < significance)
    return needed if least_p(needed) < significance else None


def detectable_errors(clusters: int, significance: float) -> float | None:
    """Return the true mean difference that sign flips find in four runs of five.

    In standard errors of the mean difference. It is that of the t test, and more where few sign
    patterns are below ``significance``; simulations agree within 10 %. None where no difference of
    any size can be found.

    Args:
        clusters: How many there are.
        significance: Two-sided level of one test, after correction: 0.05 over the tests.
    """
    if clusters < 2 or least_p(clusters) >= significance:
        return None
    quantiles = (1 - significance / 2, POWER)
    found = sum(float(special.stdtrit(clusters - 1, q)) for q in quantiles)
    return found * (1 + _COARSE * least_p(clusters) / significance)


def detectable_rate(questions: int, clusters: int, significance: float) -> float | None:
    """Return the share of answers that must change, all one way, to be found in four of five runs.

    That is the best case: where some answers change the other way, more is needed. Questions are
    taken as independent, clusters as equally large. It is exact: p is below ``significance`` when
    enough clusters hold a changed answer, and their number is binomial.

    Returns:
        A share in (0, 1]; None where no share is enough.
    """
    needed = clusters_needed(significance)
    if needed is None or needed > clusters:
        return None
    chance = float(special.betaincinv(needed, clusters - needed + 1, POWER))
    return float(1 - (1 - chance) ** (clusters / questions))


def questions_needed(ratio: float, rate: float, significance: float) -> int | None:
    """Return how many questions find that ``rate`` of the answers changed one way, in tens.

    Args:
        ratio: Questions per cluster.
        rate: Share of answers that change.
        significance: Two-sided level of one test, after correction.

    Returns:
        None where a hundred thousand are too few.
    """
    for tens in range(1, 10_000):
        found = detectable_rate(10 * tens, math.floor(10 * tens / ratio), significance)
        if found is not None and found <= rate:
            return 10 * tens
    return None


def normal_quantile(chance: float) -> float:
    """Return the quantile of the standard normal distribution."""
    return float(special.ndtri(chance))


def minimum_detectable_difference(
    n: int, discordant_rate: float, power: float = POWER, level: float = 0.95
) -> float:
    """Return the smallest difference of two paired rates that a test with ``n`` pairs finds.

    Solves Connor's sample size formula for the difference d: with q the discordant rate,
    ``d * sqrt(n) = z_level * sqrt(q) + z_power * sqrt(q - d**2)``.

    Args:
        n: Number of independent pairs.
        discordant_rate: Share of pairs on which the two conditions differ, in (0, 1].
        power: Chance to find a difference of the returned size.
        level: One minus the two-sided significance level.

    Returns:
        The difference as a share in (0, 1], or NaN where even the largest possible one, which is
        ``discordant_rate``, would not be found with that power.

    Raises:
        ValueError: an argument is out of its range.

    Source: R. J. Connor, Biometrics 43 (1987).
    """
    if n < 1 or not 0 < discordant_rate <= 1 or not 0.5 <= power < 1 or not 0 < level < 1:
        raise ValueError(
            f"minimum_detectable_difference: n={n} must be 1 or more, discordant_rate="
            f"{discordant_rate} within (0, 1], power={power} within [0.5, 1) and level={level} "
            "within (0, 1)"
        )
    z_level, z_power = (normal_quantile(q) for q in ((1 + level) / 2, power))
    # Squared, the equation is quadratic in d; its larger root is the one with a positive left side.
    quadratic = n + z_power**2
    half_linear = z_level * math.sqrt(n * discordant_rate)
    constant = (z_level**2 - z_power**2) * discordant_rate
    root = half_linear**2 - quadratic * constant
    if root < 0:
        return math.nan
    difference = (half_linear + math.sqrt(root)) / quadratic
    return difference if difference <= discordant_rate else math.nan
