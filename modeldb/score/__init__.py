"""Scoring a whole table over several connections: the work behind db.score() and ``modeldb score``."""
