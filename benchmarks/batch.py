"""Whole tables: scored and written by modeldb, by an expert's client, and by pandas, on one server, in turn.

The table has 30 double precision features; the models are a scaled logistic regression and gradient boosting of 100
trees. Every way ends with a table of all keys, predictions and probabilities, and all are compared row by row.
modeldb's and the expert's have a unique index on the key; modeldb's have the labels as text besides. The server's
settings are the same for all. New connections are part of modeldb's time, but for the incremental refreshes, both of
which are made by a session that has loaded the model. The start of Python is no part of anybody's time; `modeldb score`
is shown with it besides.

refresh_vs_expert: the slower of create_predictions() and a plain refresh, divided by the expert's client.
concurrent_vs_expert: refresh_predictions() after 1 % of the rows changed, divided by the same.
score2_vs_expert, score2_vs_pandas: `modeldb score --jobs 2`, divided by the expert's client and by pandas.
mixed_*: the same on the demo's flights, which have texts and missing values.
memory_growth, memory_mb: peak private memory of the backend with four times the rows, against that with the rows.
incremental_vs_full: an incremental refresh after 1 % of the rows changed, divided by one of all rows.
Ratios of medians, each for the worse of the two models; the last line is JSON.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import click
import numpy as np
import onnxruntime as ort
from batching import analyst, expert, incremental, memory, mixed, report, tables
from batching.rounds import Progress, Rounds
from batching.subject import Subject
from rich.console import Console

import modeldb
from modeldb.cluster import Cluster


class Benchmark:
    """The figures, part by part."""

    def __init__(self, cluster: Cluster, rows: int, pairs: int, progress: Progress) -> None:
        self.db, self.url, self.rows, self.pairs, self.progress = (
            cluster.connect(),
            cluster.url(),
            rows,
            pairs,
            progress,
        )
        self.random = np.random.default_rng(0)
        self.figures: dict[str, float] = {}
        self.seconds: dict[str, dict[str, float]] = {}
        self.facts: dict[str, Any] = {"rows": rows, "pairs": pairs, "apart": 0.0}

    def prepare(self) -> None:
        self.db.install()
        self.db.engine.dispose()
        tables.make(self.db, self.url, self.rows)
        self.artifacts = {model: self.db.load(model) for model in tables.MODELS}

    def numbers(self) -> None:
        """The table of float8 features, by both models."""
        rounds = {model: self._rounds(model) for model in tables.MODELS}
        self.figures["refresh_vs_expert"] = max(r.vs_expert("first", "plain") for r in rounds.values())
        self.figures["concurrent_vs_expert"] = max(r.vs_expert("concurrent") for r in rounds.values())
        self.figures["score2_vs_expert"] = max(r.vs_expert("score2") for r in rounds.values())
        self.figures["score2_vs_pandas"] = max(r.median("score2") / r.median(analyst.WAY) for r in rounds.values())

    def _rounds(self, model: str) -> Rounds:
        subject = Subject(self.url, tables.TABLE, model)
        artifact = self.artifacts[model]
        rounds = Rounds(subject, partial(expert.score_numbers, subject, artifact, tables.FEATURES), self.progress)
        rounds.run(self.pairs, lambda: tables.change(self.url, tables.TABLE, self.random))
        by_pandas = partial(analyst.score, self.db, subject, tables.MODELS[model], tables.FEATURES)
        rounds.time(analyst.WAY, by_pandas, subject.target(analyst.WAY))  # once: it takes a minute
        rounds.drop(analyst.WAY)
        rounds.drop(expert.WAY)
        threaded = partial(expert.score_numbers, subject, artifact, tables.FEATURES, threads=0)
        rounds.time("expert, default threads", threaded)
        rounds.drop(expert.WAY)
        return self._noted(model, rounds)

    def flights(self) -> None:
        rounds = self._noted("flights", mixed.measure(self.db, self.url, self.pairs, self.progress))
        self.figures["mixed_refresh_vs_expert"] = rounds.vs_expert("first", "plain")
        self.figures["mixed_score2_vs_expert"] = rounds.vs_expert("score2")

    def _noted(self, name: str, rounds: Rounds) -> Rounds:
        self.seconds[name] = {way: rounds.median(way) for way in rounds.seconds}
        self.facts["apart"] = max(self.facts["apart"], rounds.apart)
        return rounds

    def memory(self) -> None:
        tables.make_large(self.url, self.rows)
        found: dict[str, dict[str, list[float]]] = {}
        for model in tables.MODELS:
            subject = Subject(self.url, tables.TABLE, model)
            sizes = [memory.peaks(subject, of, self.random, self.progress) for of in (tables.TABLE, tables.LARGE)]
            found[model] = {run: [size[run] for size in sizes] for run in sizes[0]}
        pairs = [pair for runs in found.values() for pair in runs.values()]
        self.figures["memory_growth"] = max(large / small for small, large in pairs)
        self.figures["memory_mb"] = max(max(pair) for pair in pairs)
        self.facts["peak_mb"] = {m: {run: [round(mb) for mb in p] for run, p in f.items()} for m, f in found.items()}

    def incremental(self) -> None:
        tables.make_changing(self.url)
        ratios = []
        for model in tables.MODELS:
            subject = Subject(self.url, tables.CHANGING, model)
            times = incremental.measure(subject, self.artifacts[model], self.pairs, self.random, self.progress)
            self.seconds[model] |= times
            ratios.append(times["incremental"] / times["full"])
        self.figures["incremental_vs_full"] = max(ratios)


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--pairs", default=3, show_default=True, help="How often each way is timed.")
@click.option("--flights/--no-flights", default=True)
@click.option("--memory/--no-memory", default=True)
@click.option("--incremental/--no-incremental", default=True)
def main(rows: int, pairs: int, flights: bool, memory: bool, incremental: bool) -> None:
    notes, began = Console(stderr=True), time.monotonic()

    def progress(note: str) -> None:
        notes.print(f"{time.monotonic() - began:6.1f} s  {note}", highlight=False)

    with Cluster.temporary() as cluster:
        benchmark = Benchmark(cluster, rows, pairs, progress)
        for part, wanted in (
            (benchmark.prepare, True),
            (benchmark.numbers, True),
            (benchmark.incremental, incremental),
            (benchmark.flights, flights),
            (benchmark.memory, memory),
        ):
            if wanted:
                progress(part.__name__)
                part()
    versions = {"modeldb": modeldb.__version__, "onnxruntime": ort.__version__}
    total = {"total_seconds": round(time.monotonic() - began)}
    report.show(benchmark.figures, benchmark.seconds, {**benchmark.facts, **total, **versions})


if __name__ == "__main__":
    main()
