"""list, show, promote, rollback, configure, retire, delete: the registry."""

from __future__ import annotations

import click

from modeldb.cli import card
from modeldb.cli.app import database, json_option, url_option
from modeldb.cli.output import print_json, print_table, say


@click.command("list")
@click.argument("model", required=False)
@json_option
@url_option
def list_(model: str | None, as_json: bool, url: str | None) -> None:
    """List the models, or the versions of one MODEL.

    \b
    Examples:
      modeldb list
      modeldb list fraud --json
    """
    db = database(url)
    rows = db.versions(model) if model else db.models()
    wanted = (
        ("version", "aliases", "task", "features", "precision", "metrics", "bytes", "created_at", "retired_at")
        if model
        else ("name", "champion", "newest", "versions", "task", "features", "metrics", "description")
    )
    if as_json:
        print_json(rows)
    elif rows:
        print_table(wanted, [[row[column] for column in wanted] for row in rows])
    else:
        say("There are no models yet. `modeldb register --help` shows how to make one.")


@click.command()
@click.argument("model")
@json_option
@url_option
def show(model: str, as_json: bool, url: str | None) -> None:
    """Show the card of a MODEL: fraud, fraud@challenger or fraud/3.

    \b
    Examples:
      modeldb show fraud
      modeldb show fraud/2 --json | jq .parity
    """
    found = database(url).describe(model)
    if as_json:
        print_json(found)
    else:
        card.print_card(found)


@click.command()
@click.argument("model")
@click.argument("version", type=int)
@click.option("--alias", default="champion", show_default=True)
@json_option
@url_option
def promote(model: str, version: int, alias: str, as_json: bool, url: str | None) -> None:
    """Let the champion, or another alias, be VERSION of MODEL.

    Its smoke rows are replayed in the server first. Running statements keep the version that they began with.

    \b
    Examples:
      modeldb promote fraud 3
      modeldb promote fraud 4 --alias challenger
    """
    now = database(url).promote(model, version, alias)
    _moved(model, alias, now, as_json)


@click.command()
@click.argument("model")
@click.option("--alias", default="champion", show_default=True)
@click.option("--steps", type=int, default=1, show_default=True, help="How many promotions to take back.")
@json_option
@url_option
def rollback(model: str, alias: str, steps: int, as_json: bool, url: str | None) -> None:
    """Let the champion of MODEL be what it was before.

    \b
    Examples:
      modeldb rollback fraud
      modeldb rollback fraud --alias challenger --steps 2
    """
    now = database(url).rollback(model, alias, steps)
    _moved(model, alias, now, as_json)


def _moved(model: str, alias: str, version: int, as_json: bool) -> None:
    if as_json:
        print_json({"model": model, "alias": alias, "version": version})
    else:
        say(f"{model}@{alias} is now {model}/{version}.")


@click.command()
@click.argument("model")
@click.option(
    "--on-null", required=True, type=click.Choice(["raise", "null"]), help="NULL for a feature never missing."
)
@url_option
def configure(model: str, on_null: str, url: str | None) -> None:
    """Choose what a prediction does with NULL for a feature that was never missing in the sample.

    \b
    Example:
      modeldb configure fraud --on-null null      the prediction is NULL; "raise" stops with MD204
    """
    database(url).configure(model, on_null=on_null)
    say(f"{model}: NULL for a feature that was never missing {'gives NULL' if on_null == 'null' else 'raises MD204'}.")


@click.command()
@click.argument("model")
@click.argument("version", type=int)
@url_option
def retire(model: str, version: int, url: str | None) -> None:
    """Let VERSION of MODEL predict no more; promote brings it back.

    \b
    Example:
      modeldb retire fraud 1
    """
    database(url).retire(model, version)
    say(f"{model}/{version} is retired.")


@click.command()
@click.argument("model")
@click.argument("version", type=int, required=False)
@click.option("--all", "everything", is_flag=True, help="The model with all its versions and aliases.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@url_option
def delete(model: str, version: int | None, everything: bool, yes: bool, url: str | None) -> None:
    """Delete VERSION of MODEL, or with --all the whole model.

    \b
    Examples:
      modeldb delete fraud 1
      modeldb delete fraud --all --yes
    """
    if everything == (version is not None):
        raise click.UsageError("Name a version, or give --all for the whole model.")
    what = f"{model} with all its versions" if everything else f"{model}/{version}"
    if not yes:
        click.confirm(f"Delete {what}?", abort=True)
    database(url).delete(model, version, cascade=everything)
    say(f"{what} is deleted.")


COMMANDS = (list_, show, promote, rollback, configure, retire, delete)
