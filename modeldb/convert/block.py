"""What an estimator takes: columns, raw or computed, numeric or text, that become a matrix only when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modeldb.convert.graph import Graph, Numbers, Piece, Texts, concat


class Refused(Exception):
    """An estimator, or one of its settings, has no graph. ``path`` names the steps down to it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"{' > '.join(self.path)}: {self.why}" if self.path else self.why


@dataclass
class Source:
    """The graph's inputs: one numeric matrix and one of texts. Which features are in them is settled at the end, from
    those that some step has asked for, so that unused columns are not demanded of anybody."""

    graph: Graph
    names: list[str]
    is_text: list[bool]
    absent: list[Any]
    picks: list[tuple[str, list[int], bool]] = field(default_factory=list)

    def pick(self, columns: Sequence[int], text: bool) -> Piece:
        """A matrix of raw columns, all numeric or all text."""
        name = self.graph.name("columns")
        self.picks.append((name, list(columns), text))
        if text:
            return Texts(self.graph, name, len(columns), tuple(self.absent[c] for c in columns), tuple(columns))
        self.graph.raw[name] = tuple(columns)
        return Numbers(self.graph, name, self.graph.dtype, len(columns))

    def used(self, text: bool) -> list[int]:
        """Positions of the features that enter the numeric (or the text) input, in the sample's order."""
        return sorted({column for _, columns, is_text in self.picks if is_text == text for column in columns})


class Block:
    """An ordered list of columns, in pieces that are each one tensor of the graph or still raw."""

    def __init__(self, graph: Graph, pieces: Sequence[Piece], names: list[str] | None = None) -> None:
        self.graph = graph
        self.pieces = list(pieces)
        self.names = names

    @property
    def width(self) -> int:
        return sum(piece.width for piece in self.pieces)

    def matrix(self) -> Numbers:
        """All columns as one numeric matrix."""
        if any(isinstance(piece, Texts) for piece in self.pieces):
            raise Refused("it is given a text column, where it needs numbers")
        if not self.pieces:
            raise Refused("it is given no columns")
        return concat([piece for piece in self.pieces if isinstance(piece, Numbers)])

    def texts(self) -> Texts:
        """All columns as one matrix of texts."""
        if len(self.pieces) != 1 or not isinstance(self.pieces[0], Texts):
            raise Refused("it is given numbers, where it needs text")
        return self.pieces[0]

    def select(self, columns: Sequence[int]) -> Block:
        """Some of the columns by position; neighbours of one piece stay together."""
        runs: list[tuple[int, list[int]]] = []
        owners = [(p, j) for p, piece in enumerate(self.pieces) for j in range(piece.width)]
        for column in columns:
            piece, offset = owners[column]
            if runs and runs[-1][0] == piece:
                runs[-1][1].append(offset)
            else:
                runs.append((piece, [offset]))
        picked = [self.pieces[piece].take(offsets) for piece, offsets in runs]
        return Block(self.graph, picked, [self.names[c] for c in columns] if self.names else None)


class RawBlock(Block):
    """Columns of the sample itself, not yet in any tensor."""

    def __init__(self, source: Source, columns: Sequence[int]) -> None:
        self.source = source
        self.columns = list(columns)
        super().__init__(source.graph, [], [source.names[c] for c in columns])
        self._pieces: list[Piece] | None = None

    @property
    def width(self) -> int:
        return len(self.columns)

    @property
    def pieces(self) -> list[Piece]:
        """Runs of numeric and of text columns, each picked from its input when first asked for."""
        if self._pieces is None:
            self._pieces = [self.source.pick(run, text) for text, run in self._runs()]
        return self._pieces

    @pieces.setter
    def pieces(self, value: list[Any]) -> None:
        self._pieces = value or None

    def select(self, columns: Sequence[int]) -> Block:
        return RawBlock(self.source, [self.columns[c] for c in columns])

    def _runs(self) -> list[tuple[bool, list[int]]]:
        runs: list[tuple[bool, list[int]]] = []
        for column in self.columns:
            text = self.source.is_text[column]
            if runs and runs[-1][0] == text:
                runs[-1][1].append(column)
            else:
                runs.append((text, [column]))
        return runs


def as_block(value: Block | Numbers | Texts) -> Block:
    return value if isinstance(value, Block) else Block(value.graph, [value])
