"""Refreshes predictions at the times of their schedules, where pg_cron does not: the process `modeldb worker`.

Any number of workers may run: one leads, the rest stand by. What is due, what was attempted and what is done is in the
database (sql/functions/_run_scheduled.sql), so that a worker may be killed at any moment.
"""

from __future__ import annotations

from modeldb.worker.leader import Worker
from modeldb.worker.process import serve

__all__ = ["Worker", "serve"]
