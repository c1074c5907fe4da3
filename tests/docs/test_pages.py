"""The README and the reference of the SQL functions: their blocks are run, and print what is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.documents import ROOT, Runner, blocks, check

import modeldb
from modeldb.cli import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Private:
    """Stands for the private cluster: its database is the test's."""

    def __init__(self, url: str) -> None:
        self.database = modeldb.connect(url)

    def connect(self) -> modeldb.Database:
        return self.database


def test_the_readme_does_what_it_shows(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    private = Private(empty_url)
    monkeypatch.setattr("modeldb.cluster.local", lambda: private)
    try:
        assert check(ROOT / "README.md", Runner(empty_url)) >= 5
    finally:
        private.database.engine.dispose()


def test_the_sql_reference_does_what_it_shows(db: modeldb.Database, url: str) -> None:
    assert check(ROOT / "docs" / "sql.md", Runner(url, {"db": db})) >= 15


@each_page
def test_every_query_of_a_page_shows_its_result(page: Path) -> None:
    assert [block for block in blocks(page) if block.language == "sql" and block.shown is None] == []


def commands() -> list[tuple[str, str]]:
    """The lines of the shell blocks."""
    shell = [(page.name, block) for page in PAGES for block in blocks(page) if block.language == "sh"]
    return [(name, line) for name, block in shell for line in block.code.splitlines() if line.strip()]


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_of_a_page_exists(page: str, line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "modeldb":
        command = main.commands[arguments[0]]
        command.make_context(arguments[0], arguments[1:])
    else:
        assert line == "pip install .[sklearn]"
        assert "\nsklearn = [" in (ROOT / "pyproject.toml").read_text()


@each_page
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_a_block_that_would_not_be_run_is_refused(tmp_path: Path) -> None:
    for text in ("```json\n{}\n```\n", "```text\nalone\n```\n", "```\nbare\n```\n"):
        page = tmp_path / "page.md"
        page.write_text(text)
        with pytest.raises(ValueError, match="neither run nor compared"):
            blocks(page)


def test_a_wrong_output_is_found(tmp_path: Path, url: str) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sql\nSELECT 1 AS one;\n```\n```text\n one\n-----\n   2\n(1 row)\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:2"):
        check(page, Runner(url))
