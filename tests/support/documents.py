"""Pages whose code blocks are run, in order: sql and python, and the text below each that shows what comes out."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from modeldb.database import translate
from modeldb.demo.tables import Session

ROOT = Path(__file__).parents[2]
LANGUAGES = {"sql", "python", "sh"}


@dataclass(frozen=True)
class Block:
    """Code of a page, its line there, and the output that is shown below it, if any."""

    line: int
    language: str
    code: str
    shown: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page. Raises ValueError for one that would not be run or compared."""
    found: list[Block] = []
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        language, code = match[1].strip(), match[2]
        line = text[: match.start()].count("\n") + 2
        if language == "text" and found and found[-1].shown is None:
            last = found.pop()
            found.append(Block(last.line, last.language, last.code, code))
        elif language in LANGUAGES:
            found.append(Block(line, language, code, None))
        else:
            raise ValueError(f"{page.name}:{line}: a block of {language!r} is neither run nor compared")
    return found


class Runner:
    """Runs blocks against a database, as one Python session and a psql session per block."""

    def __init__(self, url: str, names: dict[str, Any] | None = None) -> None:
        self.url = url
        self.names = {"__name__": "__main__"} | (names or {})

    def run(self, block: Block) -> str:
        """What the block prints."""
        if block.language == "sql":
            with psycopg.connect(self.url, autocommit=True) as connection:
                return "\n".join(answer(Session(connection), statement) for statement in statements(block.code))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile("\n" * (block.line - 1) + block.code, "page", "exec"), self.names)
        return printed.getvalue()


def statements(code: str) -> Iterator[str]:
    """The statements of a block, each of which ends a line with its semicolon."""
    for part in re.split(r";[ \t]*(?:--[^\n]*)?$", code, flags=re.MULTILINE):
        if part.strip():
            yield part


def answer(session: Session, statement: str) -> str:
    """A result, or an error of modeldb's, as psql prints it (less the CONTEXT)."""
    try:
        return str(session.run(statement))
    except psycopg.Error as raised:
        if translate(raised) is None:
            raise
        diag = raised.diag
        parts = [("ERROR", diag.message_primary), ("DETAIL", diag.message_detail), ("HINT", diag.message_hint)]
        return "\n".join(f"{name}:  {text}" for name, text in parts if text)


def plain(output: str) -> list[str]:
    """Output without empty lines and without spaces at the ends."""
    return [line.rstrip() for line in output.splitlines() if line.strip()]


def check(page: Path, runner: Runner) -> int:
    """Run the sql and python blocks of a page and compare what is shown; how many outputs were compared."""
    compared = 0
    for block in blocks(page):
        if block.language == "sh":
            continue
        printed = runner.run(block)
        if block.shown is not None:
            assert plain(printed) == plain(block.shown), f"{page.name}:{block.line} prints\n{printed}"
            compared += 1
        else:
            assert "ERROR:" not in printed, f"{page.name}:{block.line} prints\n{printed}"
    return compared
