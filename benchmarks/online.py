"""Rows that are scored as they are inserted: by a synchronous scorer, by a service, and by workers.

The model is a scaled logistic regression of 30 double precision features.

sync_row_vs_run: what a synchronous scorer adds to a row of a COPY, divided by a bare onnxruntime run() of one row of
the same graph; the worse of a scorer with and one without class.
async_writer_vs_sync: what an asynchronous scorer adds to a row of that COPY, divided by what a synchronous one adds.
insert_vs_rest_p50, insert_vs_rest_p99: a single-row INSERT into a table with a synchronous scorer, divided by an
INSERT, a call of a FastAPI service on loopback and an UPDATE with its score; all prepared, each a transaction.
drain_vs_floor: two workers drain a queue, divided by `modeldb score --jobs 2` of those rows and one plain UPDATE.
notify_p99_ms: from the commit of a row to the NOTIFY with its key at 1,000 inserts per second, with one worker.
Medians of pairs, taken in turn, on one server that does not wait for its disk; the last line is JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial

import click
import fastapi
import onnxruntime as ort
from onlining import copying, draining, inserting, notifying, report, tables
from onlining.copying import Progress
from rich.console import Console

import modeldb
from modeldb.cluster import Cluster

Figures = dict[str, float]
Part = Callable[[Progress], tuple[Figures, Figures]]
PARTS = ("copy", "insert", "drain", "notify")


def prepare(cluster: Cluster) -> bytes:
    """Install modeldb and register the model; its graph."""
    db = cluster.connect()
    db.install()
    artifact = tables.register(db)
    db.engine.dispose()
    return artifact


@click.command(help=__doc__)
@click.option("--rows", default=100_000, show_default=True, help="Rows of a COPY.")
@click.option("--pairs", default=7, show_default=True, help="How often each way is timed.")
@click.option("--inserts", default=2000, show_default=True, help="Single inserts of a pair.")
@click.option("--queued", default=1_000_000, show_default=True, help="Rows to drain.")
@click.option("--drains", default=3, show_default=True, help="How often draining is timed.")
@click.option("--rate", default=1000, show_default=True, help="Inserts per second to notify of.")
@click.option("--seconds", default=20.0, show_default=True, help="For how long.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure only this; more than once for several.")
def main(
    rows: int, pairs: int, inserts: int, queued: int, drains: int, rate: int, seconds: float, only: Collection[str]
) -> None:
    notes, began = Console(stderr=True), time.monotonic()

    def progress(note: str) -> None:
        notes.print(f"{time.monotonic() - began:6.1f} s  {note}", highlight=False, soft_wrap=True)

    ratios: Figures = {}
    details: dict[str, Figures] = {}
    with Cluster.temporary() as cluster:
        progress("prepare")
        artifact, url = prepare(cluster), cluster.url()
        parts: dict[str, tuple[str, Part]] = {
            "copy": ("microseconds per row", partial(copying.measure, url, artifact, rows, pairs)),
            "insert": ("milliseconds per insert", partial(inserting.measure, url, artifact, inserts, pairs)),
            "drain": ("seconds to drain", partial(draining.measure, url, queued, drains)),
            "notify": ("milliseconds to NOTIFY", partial(notifying.measure, url, rate, seconds)),
        }
        for title, part in (parts[name] for name in PARTS if not only or name in only):
            found, details[title] = part(progress)
            ratios |= found
    sizes = {"rows": rows, "pairs": pairs, "queued": queued, "total_seconds": round(time.monotonic() - began)}
    versions = {"modeldb": modeldb.__version__, "onnxruntime": ort.__version__, "fastapi": fastapi.__version__}
    report.show(ratios, details, {**sizes, **versions})


if __name__ == "__main__":
    main()
