"""The registry."""

from alembic import op

from modeldb.schema import apply_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    apply_file(op.get_bind(), "schema/0001_registry.sql")
