"""The demo's flights: texts and missing values into gradient boosting of 100 trees."""

from __future__ import annotations

from batching import expert
from batching.rounds import Progress, Rounds
from batching.subject import Subject
from modeldb.database import Database
from modeldb.demo import flights

MODEL, TREES = "late", 100


def measure(db: Database, url: str, pairs: int, progress: Progress) -> Rounds:
    """Load the flights, register the model, and time the ways that there are for them."""
    flights.load_flights(db)
    pipeline, sample = flights.train(db, flights.MORE_NUMBERS, trees=TREES)
    version = db.register(MODEL, pipeline, sample=sample)
    artifact = db.load(MODEL)
    subject = Subject(url, "flights", MODEL)
    rounds = Rounds(subject, lambda: expert.score_mixed(subject, artifact, version.signature), progress)
    rounds.run(pairs, None)
    return rounds
