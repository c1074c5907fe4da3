"""Predictions of whole tables."""

from alembic import op

from modeldb.schema import apply_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    apply_file(op.get_bind(), "schema/0002_batch.sql")
