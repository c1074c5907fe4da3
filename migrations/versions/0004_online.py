"""Rows are scored as they are inserted."""

from alembic import op

from modeldb.schema import apply_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    apply_file(op.get_bind(), "schema/0004_online.sql")
