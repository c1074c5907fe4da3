"""Rows through a graph, some hundred at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from modeldb.runtime import Array
from modeldb.server.scorer import Scorer

ROWS = 1024
"""Rows of one run: what a graph computes in between, such as one-hot columns of texts, stays in the cache."""

LANES = 16
"""Runs are filled up to a multiple of this. onnxruntime computes exp() and its kin for several values at once and for
the rest singly, which may differ in the last bit; so a row's prediction does not depend on its place among others."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def _keep_freed_memory() -> None:
    """Let malloc keep some megabytes that were freed: a run takes and gives back the same ones again and again.

    Otherwise it returns them to the kernel each time, and taking them anew costs as much as running a linear model.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 8 << 20)
        mallopt(_M_TRIM_THRESHOLD, 16 << 20)


_keep_freed_memory()


class Runner:
    """A scorer's graph for many rows."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.fixed = _fixed_rows(scorer)
        self.tensors = all(output.type.startswith("tensor") for output in scorer.loaded.session.get_outputs())

    def run(self, feeds: dict[str, Array], count: int) -> dict[str, Any]:
        """Every output of the graph, for count rows. Raises RunFailed (MD401)."""
        self.scorer.loaded.hits += count
        if not self.tensors:  # sequences, which cannot be put together
            return self._execute(feeds)
        step = self.fixed or ROWS
        parts = [{name: tensor[at : at + step] for name, tensor in feeds.items()} for at in range(0, count, step)]
        return _joined([self._run_part(part) for part in parts])

    def _run_part(self, feeds: dict[str, Array]) -> dict[str, Any]:
        rows = len(next(iter(feeds.values())))
        lacking = 0 if self.fixed else -rows % LANES
        if not lacking:
            return self._execute(feeds)
        filled = {name: np.concatenate([tensor, tensor[-1:].repeat(lacking, 0)]) for name, tensor in feeds.items()}
        return {
            name: found[:rows] if found.ndim and len(found) == rows + lacking else found
            for name, found in self._execute(filled).items()
        }

    def _execute(self, feeds: dict[str, Array]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        self.scorer.watched(lambda: found.append(self.scorer.model.run(feeds, self.scorer.options)))
        return found[-1]


def _fixed_rows(scorer: Scorer) -> int | None:
    """How many rows the graph takes at once, where that is fixed: one, as some exporters have it."""
    sizes = {entry.shape[0] for entry in scorer.loaded.session.get_inputs() if entry.shape}
    fixed = [size for size in sizes if isinstance(size, int)]
    return min(fixed) if fixed else None


def _joined(raw: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The outputs of several runs, one after the other."""
    if len(raw) == 1:
        return raw[0]
    return {name: np.concatenate([np.atleast_1d(one[name]) for one in raw]) for name in raw[0]}
