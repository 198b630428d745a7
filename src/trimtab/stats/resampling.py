"""Bootstrap weights and sign flips, drawn once and multiplied with many columns at once.

A column is a number per cluster. A draw says nothing of which column it is for, so all columns
over as many clusters share their draws: what is drawn depends on the seed and on that number alone.
Draws are made in blocks, so memory is bounded whatever the number of clusters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Cells of one block: 4 million float64 are 32 MB.
BLOCK_CELLS = 4_000_000


def resampled_sums(columns_CK: Floats, *, seed: int, num_resamples: int) -> Floats:
    """Return each column's sum over C clusters drawn with replacement, float64 [resamples, K]."""
    blocks = resampled_weights(columns_CK.shape[0], seed=seed, num_resamples=num_resamples)
    return np.concatenate([weights_BC @ columns_CK for weights_BC in blocks])


def extreme_flips(columns_CK: Floats, *, seed: int, num_flips: int) -> npt.NDArray[np.int64]:
    """Return how many random sign patterns give each column a sum as far from 0 as its own, [K].

    Sums that tie with the observed one count, in spite of rounding.
    """
    sums_K = columns_CK.sum(0)
    least_K = np.abs(sums_K) - 1e-9 * np.abs(columns_CK).sum(0)
    extreme_K = np.zeros(columns_CK.shape[1], dtype=np.int64)
    for flipped_BC in _flips(columns_CK.shape[0], seed, num_flips):
        # what is flipped is taken from the sum twice
        extreme_K += (np.abs(sums_K - 2.0 * (flipped_BC @ columns_CK)) >= least_K).sum(0)
    return extreme_K


def resampled_weights(
    num_clusters: int, *, seed: int, num_resamples: int, width: int = 0
) -> Iterator[Floats]:
    """Yield how often each cluster was drawn, a row per resample, in blocks.

    ``width`` is the number of cells that each row is made into, if that is more than its own.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = max(1, BLOCK_CELLS // max(num_clusters, width))
    for start in range(0, num_resamples, rows):
        weights_BC = np.empty((min(rows, num_resamples - start), num_clusters))
        for row in weights_BC:
            drawn = rng.integers(0, num_clusters, num_clusters)
            row[:] = np.bincount(drawn, minlength=num_clusters)
        yield weights_BC


def _flips(num_clusters: int, seed: int, num_flips: int) -> Iterator[Floats]:
    """Yield sign patterns, a row each, in blocks: 1 is flipped, 0 is not.

    The stream is one of its own, apart from the weights'.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    rows = max(1, BLOCK_CELLS // num_clusters)
    for start in range(0, num_flips, rows):
        for_block = min(rows, num_flips - start)
        # a whole number of words per row: a block's size changes no row
        words = -(-num_clusters // 64)
        drawn = np.frombuffer(rng.bytes(for_block * words * 8), dtype=np.uint8)
        bits_BC = np.unpackbits(drawn.reshape(for_block, -1), axis=1, count=num_clusters)
        yield bits_BC.astype(np.float64)
