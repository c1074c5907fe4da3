"""up, down, status, psql: the private PostgreSQL."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from modeldb.cli.app import json_option, private_cluster
from modeldb.cli.output import print_facts, print_json, say, size, working
from modeldb.cluster import Cluster


def _document(cluster: Cluster) -> dict[str, object]:
    """What --json prints of a cluster."""
    return {name: str(value) if name.endswith("_dir") else value for name, value in asdict(cluster.status()).items()}


@click.command()
@json_option
def up(as_json: bool) -> None:
    """Start the private PostgreSQL, and make it if there is none.

    It listens on no TCP port; other PostgreSQL servers on this machine are not touched.

    \b
    Example:
      modeldb up && modeldb install && modeldb psql
    """
    cluster = private_cluster(running=False)
    with working("starting the private PostgreSQL"):
        cluster.up()
    if as_json:
        print_json(_document(cluster))
        return
    say(f"The private PostgreSQL runs: {cluster.url()}")
    say("Put modeldb into it with: modeldb install     Open it with: modeldb psql     Stop it with: modeldb down")


@click.command()
@click.option("--delete", is_flag=True, help="Also delete it with all its data.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def down(delete: bool, yes: bool) -> None:
    """Stop the private PostgreSQL.

    \b
    Examples:
      modeldb down
      modeldb down --delete      asks, then deletes the data too
    """
    cluster = private_cluster(running=False)
    if delete and not yes:
        click.confirm(f"Delete all data in {cluster.folder}?", abort=True)
    with working("stopping the private PostgreSQL"):
        if delete:
            cluster.delete()
        else:
            cluster.down()
    say(f"The private PostgreSQL in {cluster.folder} is {'deleted' if delete else 'stopped'}.")


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether the private PostgreSQL runs, and where.

    \b
    Examples:
      modeldb status
      psql "$(modeldb status --json | jq -r .url)"
    """
    cluster = private_cluster(running=False)
    if as_json:
        print_json(_document(cluster))
        return
    found = cluster.status()
    there = "stopped" if found.data_dir.exists() else "there is none; modeldb up makes it"
    print_facts(
        {
            "private PostgreSQL": f"running, process {found.pid}" if found.running else there,
            "version": found.server_version or "PostgreSQL with PL/Python is not installed",
            "data": str(found.data_dir),
            "size": size(found.disk_bytes),
            "URL": found.url,
            "log": str(cluster.log_file),
        }
    )


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the private PostgreSQL, or hand it ARGUMENTS.

    \b
    Examples:
      modeldb psql
      modeldb psql -c "SELECT * FROM models"
      modeldb psql -f report.sql --csv
    """
    cluster = private_cluster()
    command = [*cluster.psql_command(), *arguments]
    os.execve(command[0], command, {**os.environ, **cluster.psql_environment()})


COMMANDS = (up, down, status, psql)
