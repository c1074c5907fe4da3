"""Where rows are stored, for statements that come back to rows that an earlier one has locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from modeldb.runtime import Array
from modeldb.server.online.scorer import TableScorer


@dataclass
class Rows:
    """Rows that are locked: where each is stored (a tid), and in which partition (an oid, as text); none if plain."""

    tids: list[str]
    partitions: list[str]

    @classmethod
    def read(cls, tids: str | None, partitions: str | None) -> Rows:
        """Rows from literals of tid[] and oid[]."""
        return cls(tid_list(tids), partitions[1:-1].split(",") if partitions else [])

    def __len__(self) -> int:
        return len(self.tids)

    def slice(self, start: int, stop: int) -> Rows:
        return Rows(self.tids[start:stop], self.partitions[start:stop])

    def pick(self, positions: Sequence[int]) -> Rows:
        """Those at some positions, in the order of these."""
        tids = [self.tids[at] for at in positions]
        return Rows(tids, [self.partitions[at] for at in positions] if self.partitions else [])

    def partition_array(self) -> str:
        """A literal of oid[]."""
        return "{" + ",".join(self.partitions) + "}"


def only(scorer: TableScorer) -> str:
    """The scored table in FROM: its partitions belong to it, tables that inherit from it have keys of their own."""
    return scorer.table if scorer.partitioned else f"ONLY {scorer.table}"


def tid_array(tids: Sequence[str]) -> str:
    """A literal of tid[]."""
    return '{"' + '","'.join(tids) + '"}' if tids else "{}"


def tid_list(literal: str | None) -> list[str]:
    """The elements of a literal of tid[]."""
    return literal[2:-2].split('","') if literal else []


def integers(literal: str | None) -> Array:
    """The numbers in an array literal of integers."""
    found: Array = np.array(orjson.loads(f"[{literal[1:-1]}]") if literal else [], dtype=np.int64)
    return found
