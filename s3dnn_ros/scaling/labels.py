"""Labels of channels, and which of them are one."""

from __future__ import annotations

import numpy as np

# The label of what never goes: the colours of an image, the numbers that a network gives.
FIXED = 0


class LabelUnion:
    """Labels, and which of them are one."""

    def __init__(self):
        self._parents = [FIXED]

    def fresh(self, count: int) -> np.ndarray:
        """Return so many labels that nobody has."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, label: int) -> int:
        """Return the least of all labels that are one with this one."""
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return label

    def unite(self, some: np.ndarray, others: np.ndarray) -> None:
        """Make each label one with the other at its place."""
        for one, other in zip(some.tolist(), others.tolist()):
            low, high = sorted((self.root(one), self.root(other)))
            self._parents[high] = low

    def fix(self, labels: np.ndarray) -> None:
        """Make labels one with FIXED."""
        self.unite(labels, np.full(len(labels), FIXED))

    def roots(self) -> np.ndarray:
        """Return the root of each label, by its number."""
        return np.array([self.root(label) for label in range(len(self._parents))])
