"""Which of many numbers belong together."""

from __future__ import annotations

import numpy as np


class Union:
    """Numbers that belong together: a union-find, with some that are fixed."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._fixed: list[np.ndarray] = []

    def new(self, count: int) -> np.ndarray:
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            a, b = self._root(a), self._root(b)
            if a != b:
                self._parent[max(a, b)] = min(a, b)

    def freeze(self, ids: np.ndarray | None) -> None:
        if ids is not None:
            self._fixed.append(ids)

    def roots(self, ids: np.ndarray) -> list[int]:
        return [self._root(number) for number in ids.tolist()]

    def fixed(self) -> set[int]:
        return {self._root(number) for ids in self._fixed for number in ids.tolist()}

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = number = self._parent[self._parent[number]]
        return number
