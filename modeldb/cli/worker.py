"""worker: the process that scores rows that wait, and refreshes predictions at the times of their schedules."""

from __future__ import annotations

import logging
import sys

import click

from modeldb.cli.app import private_cluster, url_option


@click.command()
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Refreshes at a time, at most.")
@url_option
def worker(jobs: int, url: str | None) -> None:
    """Score rows for asynchronous scorers, and refresh predictions at the times of their schedules.

    Every worker scores the rows that wait in the queues of attach_scorer(mode => 'async'): run several for more rows
    a second. A row is scored some 50 milliseconds after its commit, and NOTIFY modeldb_scored tells who listens. It
    ends at SIGTERM or SIGINT, and may be killed: what it had not done, another one does.

    Schedules: where pg_cron works for the database, it does that, and a worker only steps in when it is late. Run as
    many workers as you like: one leads, and another takes over within seconds when it is gone. What was missed is made
    up for once. A run that is interrupted leaves nothing half done, and is run again. What happens goes to stderr, one
    line a run.

    The role needs GRANT modeldb_worker; a superuser may, but need not be used. Connect to the server itself or to
    pgbouncer in session mode: in transaction mode there is no telling who leads.

    \b
    Examples:
      modeldb worker
      modeldb worker --url postgresql://modeldb_worker@db/shop --jobs 4
    """
    from modeldb.worker import Worker, serve

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.exit(0 if serve(Worker(url or private_cluster().url(), jobs=jobs)) else 1)


COMMANDS = (worker,)
