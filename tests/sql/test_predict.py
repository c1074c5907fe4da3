"""predict() and its kin: every overload, every error."""

from __future__ import annotations

from support.fixtures import Session
from support.models import Trained
from support.tables import write_table

import modeldb


def test_smoke(db: modeldb.Database, session: Session, cancer: Trained) -> None:
    db.register("cancer", cancer.estimator, sample=cancer.X)
    write_table(db, "patients", cancer.X)
    rows = session().execute("SELECT predict('cancer', p) FROM patients p ORDER BY row_id").fetchall()
    assert [row[0] for row in rows] == cancer.estimator.predict(cancer.X).tolist()
