"""What an earlier demo has left, and what is somebody else's."""

from __future__ import annotations

from modeldb.database import Database
from modeldb.errors import InstallationError

TAGS = {"made_by": "modeldb demo"}
HINT = "Run the demo in another database: modeldb demo --url URL"


def forget(db: Database, model: str) -> None:
    """Delete a model of an earlier demo with its predictions, so that the story begins with version 1.

    Raises InstallationError (MD900) when somebody else has registered a version of it, and VersionInUse (MD105) when
    there are predictions or scorers of it that the demo did not make.
    """
    tags = [row["tags"] for row in db.query("SELECT tags FROM modeldb.versions WHERE model = :model", model=model)]
    if any(found != TAGS for found in tags):
        raise InstallationError(f"this database has a model {model!r} that the demo did not make", hint=HINT)
    made = "SELECT name FROM modeldb.predictions WHERE model = :model AND name LIKE '%.late\\_flights'"
    for row in db.query(made, model=model):
        db.drop_predictions(row["name"])
    if tags:
        db.delete(model, cascade=True)
