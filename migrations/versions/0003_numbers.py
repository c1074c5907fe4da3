"""Predictions come out of PL/Python as bytes instead of text."""

from alembic import op

from modeldb.schema import apply_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    apply_file(op.get_bind(), "schema/0003_numbers.sql")
