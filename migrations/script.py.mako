"""${message}."""

from alembic import op

from modeldb.schema import apply_file

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    apply_file(op.get_bind(), "schema/${up_revision}_.sql")
