"""K-means and its usual figures: silhouette (Rousseeuw 1987) and adjusted Rand index (Hubert and Arabie 1985)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ari", "kmeans", "nearest", "silhouette"]

Floats = NDArray[np.float64]


def kmeans(x: Floats, k: int, seed: int, starts: int = 8, rounds: int = 60) -> Floats:
    """Centroids (k, columns) with the least sum of squares of several k-means++ starts (Arthur, Vassilvitskii 2007)."""
    rng = np.random.default_rng(seed)
    best, least = x[:k], np.inf
    for _ in range(starts):
        centres = x[rng.integers(len(x))][None]
        while len(centres) < k:
            far = _squares(x, centres).min(1)
            centres = np.vstack([centres, x[rng.choice(len(x), p=far / far.sum())]])
        for _ in range(rounds):
            label = nearest(x, centres)
            moved = np.stack([x[label == j].mean(0) if (label == j).any() else centres[j] for j in range(k)])
            if np.array_equal(moved, centres):
                break
            centres = moved
        spread = float(_squares(x, centres).min(1).sum())
        if spread < least:
            best, least = centres, spread
    return best


def nearest(x: Floats, centres: Floats) -> NDArray[np.int64]:
    """The number of each row's nearest centroid."""
    return np.asarray(_squares(x, centres).argmin(1))


def _squares(x: Floats, centres: Floats) -> Floats:
    return np.asarray(((x[:, None] - centres) ** 2).sum(2))


def silhouette(x: Floats, label: NDArray[np.int64]) -> float:
    """Mean over the rows of (b - a) / max(a, b): a the mean distance to the own cluster's rows, b to the nearest
    other's. Between -1 and 1."""
    distance = np.sqrt(np.maximum((x**2).sum(1)[:, None] + (x**2).sum(1) - 2 * x @ x.T, 0.0))
    names, own, n = np.unique(label, return_inverse=True, return_counts=True)
    total = np.stack([distance[:, own == j].sum(1) for j in range(len(names))], axis=1)
    rows = np.arange(len(x))
    a = total[rows, own] / np.maximum(n[own] - 1, 1)
    other = total / n
    other[rows, own] = np.inf
    b = other.min(1)
    return float(np.where(n[own] > 1, (b - a) / np.maximum(np.maximum(a, b), 1e-12), 0.0).mean())


def ari(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Adjusted Rand index of two labellings: 1 when they divide alike, about 0 when by chance."""
    _, a = np.unique(one, return_inverse=True)
    _, b = np.unique(other, return_inverse=True)
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def pairs(n: Floats) -> float:
        return float((n * (n - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / pairs(np.array([float(len(a))]))
    top = (rows + columns) / 2
    return 1.0 if top == expected else (both - expected) / (top - expected)
