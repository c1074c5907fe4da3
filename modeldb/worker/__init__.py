"""The process `modeldb worker`: scores the rows that wait for it, and refreshes predictions at the times of their
schedules, where pg_cron does not.

Any number of workers may run. All of them score rows; for the schedules one leads, and the rest stand by. What is due,
what was attempted and what is done is in the database (sql/functions/_drain.sql, _run_scheduled.sql), so that a worker
may be killed at any moment.
"""

from __future__ import annotations

from modeldb.worker.leader import Worker
from modeldb.worker.process import serve

__all__ = ["Worker", "serve"]
