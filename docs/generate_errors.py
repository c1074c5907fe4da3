"""Writes docs/errors.md from the classes of modeldb.errors.

Run: python docs/generate_errors.py
"""

from __future__ import annotations

from pathlib import Path

from modeldb.errors import ModeldbError, all_errors, explain

HERE = Path(__file__).parent
HEAD = """\
# Errors

<!-- Written by docs/generate_errors.py from modeldb/errors.py. -->

Every error has a SQLSTATE, a message that names the model and the feature, and a HINT that says what to do next.
In psql, errors that arise in Python begin with the class's name and end with a CONTEXT of Python's lines, which may be
ignored.

In SQL, match on the SQLSTATE: `EXCEPTION WHEN SQLSTATE 'MD204' THEN ...` in PL/pgSQL. In Python, the same class of
`modeldb.errors` is raised whether the error arose in the client or in the server, and the head of a family catches the
whole family. It has the attributes `message`, `detail`, `hint` and `sqlstate`. The command line prints all of them and
ends with exit code 1.

Below, each error has the message and the hint that it has when there is nothing better to say.
"""
FAMILIES = {
    "MD1": "MD1xx: the registry",
    "MD2": "MD2xx: the input of a prediction",
    "MD3": "MD3xx: artifacts and their conversion",
    "MD4": "MD4xx: prediction",
    "MD5": "MD5xx: batch predictions",
    "MD6": "MD6xx: online scoring",
    "MD9": "MD9xx: installation",
}
TAIL = """
## Errors of PostgreSQL's own

| SQLSTATE | when |
|---|---|
| 40001 | Another transaction has published since this one's snapshot (REPEATABLE READ): run it again. |
| 42501 | In SQL: the role may not use modeldb. In Python it is `MissingPrivilege` (MD907). |
| 42883 | In SQL: without `modeldb_user`, or with another search_path, a role does not even see the functions. |
| 57014 | A prediction was cancelled, or statement_timeout ended it. |
| 38000 | An error that modeldb did not expect: please report it. |
"""


def page() -> str:
    """The whole of docs/errors.md."""
    parts = [HEAD]
    errors = [error for error in all_errors() if error is not ModeldbError]
    for family, title in FAMILIES.items():
        lines = ["", f"## {title}", "", "| SQLSTATE | class | message | hint |", "|---|---|---|---|"]
        lines += [line(error) for error in errors if error.sqlstate.startswith(family)]
        parts.append("\n".join(lines) + "\n")
    return "".join(parts) + TAIL


def line(error: type[ModeldbError]) -> str:
    """An error as a line of a table; the head of a family in italics."""
    summary, advice = explain(error)
    name = f"`{error.__name__}`"
    if error.__base__ is ModeldbError:
        summary, advice = f"*the family: {summary}*", ""
    return f"| {error.sqlstate} | {name} | {cell(summary)} | {cell(advice or '')} |"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    (HERE / "errors.md").write_text(page(), encoding="utf-8")
