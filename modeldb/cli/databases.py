"""install, doctor, demo: modeldb in a database."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click
from rich.text import Text

from modeldb.cli.app import database, json_option, private_cluster, url_option
from modeldb.cli.output import address, console, print_json, say, working
from modeldb.errors import ModeldbError


@click.command()
@click.option("--no-search-path", is_flag=True, help="Leave the database's search_path: write modeldb.predict(...).")
@click.option(
    "--server-path",
    multiple=True,
    metavar="FOLDER",
    help="Where the server's Python finds modeldb, when the server is another machine. May be given several times.",
)
@url_option
def install(no_search_path: bool, server_path: tuple[str, ...], url: str | None) -> None:
    """Install modeldb into a database, or upgrade it. Needs a superuser.

    Without --url, the private PostgreSQL is started when it is not running.

    \b
    Examples:
      modeldb install
      modeldb install --url postgresql://postgres@/shop
      modeldb install --url postgresql://postgres@db/shop --server-path /opt/modeldb/lib/python3.11/site-packages
    """
    db = database(url, start=True)
    with working("installing modeldb"):
        db.install(search_path=not no_search_path, server_path=server_path)
    say(f"modeldb is installed in {address(db.engine.url)}")


@click.command()
@json_option
@url_option
def doctor(as_json: bool, url: str | None) -> None:
    """Check the server, its Python and the installation, and say what to run. Changes nothing.

    Exit code 1 when something fails.

    \b
    Examples:
      modeldb doctor
      modeldb doctor --json | jq '.checks[] | select(.status != "ok")'
    """
    from modeldb.doctor import examine, unreachable

    try:
        with working("looking at the server"):
            checks = examine(url or private_cluster().url())
    except ModeldbError as error:
        checks = [unreachable(error)]
    failed = any(check.status == "fail" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            color = {"ok": "green", "warn": "yellow", "fail": "bold red"}[check.status]
            console().print(
                Text.assemble((f"{check.status:<5}", color), f"{check.name:<17} {check.found}"), soft_wrap=True
            )
            if check.advice:
                console().print(Text(f"{'':<5}{'':<17} -> {check.advice}"), soft_wrap=True)
    sys.exit(1 if failed else 0)


@click.command()
@url_option
def demo(url: str | None) -> None:
    """Show the life of a model on 336,776 real flights, and a stream of payments; takes about a minute.

    Makes tables `flights` and `payments` and models `late` and `fraud` in the private PostgreSQL, which is started when
    it is not running, or in the database of --url. Prints each SQL statement and its result. For some seconds it runs
    a `modeldb worker`.

    \b
    Examples:
      modeldb demo
      modeldb demo --url postgresql://postgres@/scratch
    """
    from modeldb.demo import run

    run(database(url, start=True), private=not url)


COMMANDS = (install, doctor, demo)
