"""predictions: views of predictions for whole tables, and when they are refreshed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from modeldb.cli.app import database, json_option, url_option
from modeldb.cli.output import print_facts, print_json, print_table, say, working

if TYPE_CHECKING:
    from modeldb.batch import BatchRun

LISTED = ("name", "model", "version", "behind", "rows", "age", "schedule", "last_run", "last_error")


@click.group()
def predictions() -> None:
    """Views of predictions for whole tables, refreshed on a schedule.

    \b
    Examples:
      modeldb predictions create late_flights --model late --source flights --key id
      modeldb predictions schedule late_flights '*/15 * * * *'
      modeldb predictions list
    """


@predictions.command()
@click.argument("name")
@click.option("--model", required=True, help="fraud, fraud@challenger or fraud/3.")
@click.option("--source", required=True, metavar="TABLE|QUERY", help="A table, a view, or a query in quotes.")
@click.option("--key", required=True, multiple=True, metavar="COLUMN", help="What identifies a row. Repeatable.")
@click.option("--column", "columns", multiple=True, metavar="COLUMN", help="Carried along. Repeatable.")
@click.option("--class", "class_", metavar="LABEL", help="The class that probability is of.")
@click.option("--on-error", type=click.Choice(["raise", "null"]), default="raise", show_default=True)
@click.option("--incremental", is_flag=True, help="Keep a table, and score only rows that changed.")
@click.option("--changed-at", metavar="COLUMN", help="The source's column that tells when a row was changed.")
@url_option
def create(
    name: str,
    model: str,
    source: str,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    class_: str | None,
    on_error: str,
    incremental: bool,
    changed_at: str | None,
    url: str | None,
) -> None:
    """Make the view NAME with a model's predictions for every row of a source.

    \b
    Examples:
      modeldb predictions create late_flights --model late --source flights --key id --column carrier
      modeldb predictions create risks --model fraud@challenger --source payments --key id \\
          --incremental --changed-at updated_at --on-error null
    """
    with working("scoring"):
        run = database(url).create_predictions(
            name,
            model,
            source,
            key,
            columns=columns,
            on_error=on_error,
            class_=class_,
            incremental=incremental,
            changed_at=changed_at,
        )
    say(_told(run))


@predictions.command()
@click.argument("name")
@click.option("--full", is_flag=True, help="Score every row of incremental predictions again.")
@url_option
def refresh(name: str, full: bool, url: str | None) -> None:
    """Bring the predictions NAME up to date, now."""
    with working("scoring"):
        run = database(url).refresh_predictions(name, full=full)
    say(_told(run))


@predictions.command()
@click.argument("name")
@click.argument("cron")
@url_option
def schedule(name: str, cron: str, url: str | None) -> None:
    """Refresh NAME at the times of CRON: five fields in UTC.

    \b
    Example:
      modeldb predictions schedule late_flights '0 3 * * *'
    """
    who = database(url).schedule_predictions(name, cron)
    say(
        f"{name} is refreshed by {who} at {cron} (UTC)" + ("; keep `modeldb worker` running" if who == "worker" else "")
    )


@predictions.command()
@click.argument("name")
@url_option
def unschedule(name: str, url: str | None) -> None:
    """Refresh NAME no more by itself."""
    database(url).unschedule_predictions(name)
    say(f"{name} is no longer scheduled")


@predictions.command("list")
@json_option
@url_option
def list_(as_json: bool, url: str | None) -> None:
    """List all predictions and how fresh they are."""
    found = database(url).predictions()
    if as_json:
        print_json(found)
    else:
        print_table(LISTED, [[row[name] for name in LISTED] for row in found])


@predictions.command()
@click.argument("name")
@json_option
@url_option
def show(name: str, as_json: bool, url: str | None) -> None:
    """Show what the predictions NAME are made of, and their last runs."""
    card = database(url).describe_predictions(name)
    if as_json:
        print_json(card)
        return
    runs = card.pop("runs")
    print_facts(card)
    columns = ("started_at", "runner", "version", "rows", "scored", "error")
    print_table(columns, [[run[column] for column in columns] for run in runs], title="runs")


@predictions.command()
@click.argument("name")
@click.option("--cascade", is_flag=True, help="Drop the views that read them, too.")
@url_option
def drop(name: str, cascade: bool, url: str | None) -> None:
    """Drop the predictions NAME, with their views and their schedule."""
    database(url).drop_predictions(name, cascade=cascade)
    say(f"{name} is dropped")


def _told(run: BatchRun) -> str:
    speed = f", {run.rows_per_second:,.0f} rows/s" if run.rows_per_second else ""
    scored = f"{run.scored:,} scored in {run.seconds:.1f} s{speed}"
    return f"{run.predictions}: {run.rows:,} rows by version {run.version}, {scored}"


COMMANDS = (predictions,)
