"""The group of commands, what they share, and how errors leave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from modeldb import __version__
from modeldb.cli.output import print_error, working
from modeldb.errors import ClusterError, ModeldbError

if TYPE_CHECKING:
    from modeldb.cluster import Cluster
    from modeldb.database import Database

Function = TypeVar("Function", bound=Callable[..., Any])

GROUPS = {
    "The private PostgreSQL": ("up", "down", "status", "psql"),
    "A database": ("install", "doctor", "demo"),
    "Models": ("register", "list", "show", "promote", "rollback", "configure", "retire", "delete"),
    "Predictions": ("predict", "predictions", "score", "worker"),
}


class Failure(click.ClickException):
    """A modeldb error on its way out: message, DETAIL and HINT on stderr, exit code 1."""

    def __init__(self, error: ModeldbError) -> None:
        super().__init__(error.message)
        self.error = error

    def show(self, file: IO[Any] | None = None) -> None:
        print_error(self.error)


class Commands(click.Group):
    """A group whose help shows the commands by topic, and whose errors have no traceback."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(80)) for name in names])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModeldbError as error:
            raise Failure(error) from error
        except Exception as error:
            if (known := _of_postgresql(error)) is None:
                raise
            raise Failure(known) from error


def _of_postgresql(error: Exception) -> ModeldbError | None:
    """An error of PostgreSQL that is none of modeldb's own, as one that can be printed like them."""
    diag = getattr(getattr(error, "orig", error), "diag", None)
    if diag is None:
        return None
    known = ModeldbError(diag.message_primary, detail=diag.message_detail, hint=diag.message_hint or "")
    known.sqlstate = diag.sqlstate or "58000"
    return known


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="modeldb")
def main() -> None:
    """Machine-learning models as data inside PostgreSQL.

    \b
    From nothing to a prediction, on a private PostgreSQL that only you reach:
      modeldb up
      modeldb install
      modeldb register fraud train.py:pipeline --sample rows.csv
      modeldb psql -c "SELECT predict('fraud', t) FROM transactions t LIMIT 3"
      modeldb demo                      the whole of it on real data

    Commands work on the private PostgreSQL, or on the database of --url or MODELDB_URL. A model is written fraud (its
    champion), fraud@challenger (an alias) or fraud/3 (a version). `modeldb COMMAND --help` has an example of each.
    """


def url_option(function: Function) -> Function:
    """--url, or MODELDB_URL."""
    option = click.option(
        "--url", envvar="MODELDB_URL", metavar="URL", help="The database.  [env: MODELDB_URL; default: the private one]"
    )
    return option(function)


def json_option(function: Function) -> Function:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def private_cluster(*, running: bool = True) -> Cluster:
    """The private cluster. Raises ClusterError (MD905) when it has to be running and is not."""
    from modeldb.cluster import local
    from modeldb.postmaster import postmaster_pid

    cluster = local()
    if running and postmaster_pid(cluster.data_dir) is None:
        there = cluster.data_dir.exists()
        raise ClusterError(
            f"The private cluster in {cluster.folder} is not running."
            if there
            else f"There is no private cluster in {cluster.folder}.",
            hint="Start it with: modeldb up. Or name another database with --url or MODELDB_URL.",
        )
    return cluster


def database(url: str | None, *, start: bool = False) -> Database:
    """The database of --url, or the private cluster's, started when need be if ``start``."""
    from modeldb.database import connect

    if url:
        return _disposed(connect(url))
    cluster = private_cluster(running=not start)
    with working("starting the private PostgreSQL"):
        return _disposed(cluster.connect() if start else connect(cluster.url()))


def _disposed(db: Database) -> Database:
    """The database, whose connections end with the command."""
    click.get_current_context().call_on_close(db.engine.dispose)
    return db
