"""predict: one row as JSON, or the rows of a CSV file."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

from modeldb.cli.app import database, json_option, url_option
from modeldb.cli.inputs import read_csv
from modeldb.cli.output import print_facts, print_json, print_table, shown, working
from modeldb.signature import class_text

if TYPE_CHECKING:
    from modeldb.database import Database


@click.command()
@click.argument("model")
@click.argument("rows", type=click.File("r", encoding="utf-8-sig"), required=False)
@click.option(
    "--row", "--json-row", "row", metavar="JSON", help="One row: an object by feature, or an array by position."
)
@json_option
@url_option
def predict(model: str, rows: IO[str] | None, row: str | None, as_json: bool, url: str | None) -> None:
    """Predict in the database for one row, or for the ROWS of a CSV file (- reads standard input).

    \b
    Examples:
      modeldb predict fraud --row '{"amount": 12.5, "country": "NZ"}'
      modeldb predict fraud@challenger today.csv --json
    """
    if (rows is None) == (row is None):
        raise click.UsageError("Give a CSV file of rows, or one row with --row.")
    db = database(url)
    if row is not None:
        _one(db, model, row, as_json)
    elif rows is not None:
        _many(db, model, rows, as_json)


def _one(db: Database, model: str, row: str, as_json: bool) -> None:
    sql = "SELECT modeldb.predict_json(:model, CAST(:row AS text)) AS answer"
    answer = db.query(sql, model=model, row=row)[0]["answer"]
    if as_json or answer is None:
        print_json(answer)
        return
    print_facts(
        {
            "model": f"{answer['model']}/{answer['version']}",
            "label": answer["label"],
            "value": answer["value"],
            "probabilities": answer["probabilities"],
        }
    )


def _many(db: Database, model: str, rows: IO[str], as_json: bool) -> None:
    import numpy as np

    card = db.describe(model)
    version = f"{card['model']}/{card['version']}"  # every row by one version, whatever is promoted meanwhile
    table = read_csv(rows, card["features"])
    if not table:
        raise click.UsageError("The CSV file has no rows.")
    with working(f"predicting {len(table)} rows with {version}"):
        answers = _answers(db, version, card, np.array(table, dtype=object))
    if as_json:
        print_json({"model": card["model"], "version": card["version"], "predictions": answers})
        return
    classes = list(answers[0].get("probabilities", ()))
    lines = [[i, shown(a["prediction"]), *a.get("probabilities", {}).values()] for i, a in enumerate(answers, 1)]
    print_table(["row", "prediction", *(f"p({label})" for label in classes)], lines)


def _answers(db: Database, version: str, card: dict[str, Any], table: Any) -> list[dict[str, Any]]:
    """One document per row: prediction, and probabilities by class where there is one target and they exist."""
    answers = [{"prediction": prediction} for prediction in db.predict(version, table).tolist()]
    if card["signature"]["outputs"].get("probabilities") and card["signature"].get("targets", 1) == 1:
        probabilities: Any = db.predict_proba(version, table)
        for answer, row in zip(answers, probabilities.tolist(), strict=True):
            answer["probabilities"] = {class_text(c): p for c, p in zip(card["classes"], row, strict=True)}
    return answers


COMMANDS = (predict,)
