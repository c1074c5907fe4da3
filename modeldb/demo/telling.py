"""How the demo tells: headings, statements with their results as psql prints them, and Python that is run."""

from __future__ import annotations

import time

import psycopg
from rich.syntax import Syntax
from rich.text import Text

from modeldb.cli.output import console, working
from modeldb.database import translate
from modeldb.demo.tables import Session


def chapter(title: str) -> None:
    """A heading."""
    console().print()
    console().print(Text(f"-- {title}", style="bold cyan"), soft_wrap=True)


def tell(session: Session, *statements: str) -> None:
    """Each statement, its result, and the time of those that take some."""
    for statement in statements:
        print_code(statement, "postgresql")
        started = time.monotonic()
        with working("running"):
            result = session.run(statement)
        seconds = time.monotonic() - started
        console().print(Text(f"{result}"), soft_wrap=True)
        note(f"Time: {seconds:.1f} s" if seconds > 1 else "")


def mistake(session: Session, statement: str) -> None:
    """A statement that fails by one of modeldb's errors, and that error as psql prints it."""
    print_code(statement, "postgresql")
    try:
        session.run(statement)
    except psycopg.Error as raised:
        if translate(raised) is None:
            raise
        diag = raised.diag
        parts = {"ERROR": diag.message_primary, "DETAIL": diag.message_detail, "HINT": diag.message_hint}
        lines = (f"{name}:  {text}" for name, text in parts.items() if text)
        console().print(Text("\n".join(lines), style="red"), soft_wrap=True)


def print_code(code: str, language: str) -> None:
    """A statement, in colors on a terminal."""
    colored = Syntax("", language, theme="ansi_dark", background_color="default").highlight(code)
    colored.rstrip()
    console().print(colored, soft_wrap=True)


def note(text: str) -> None:
    """A line beside the code, and an empty one."""
    if text:
        console().print(Text(text, style="dim"), soft_wrap=True)
    console().print()
