"""``modeldb demo``: the life of a model on the flights that left New York City in 2013, and a stream of payments."""

from modeldb.demo.story import run

__all__ = ["run"]
