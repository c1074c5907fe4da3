"""Times of a schedule: five fields of cron, in UTC, in the syntax that pg_cron and cronsim read alike."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from modeldb.errors import InvalidSchedule

# cronsim also knows L, # and 5/15, which pg_cron refuses or takes for something else.
_VALUE = "(?:[0-9]{1,2}|[A-Za-z]{3})"
_TERM = rf"(?:\*|{_VALUE}-{_VALUE})(?:/[0-9]{{1,2}})?|{_VALUE}"
_FIELD = re.compile(rf"(?:{_TERM})(?:,(?:{_TERM}))*")
_EXAMPLES = (
    "'*/15 * * * *' is every quarter of an hour, '30 3 * * *' every day at 03:30 UTC, '0 6 * * 1' Mondays at 06:00."
)


def next_time(cron: str | None, after: float) -> float:
    """The first time of the schedule after a time; both are seconds since 1970. Raises InvalidSchedule (MD504)."""
    from cronsim import CronSim, CronSimError

    fields = (cron or "").split()
    if len(fields) != 5:
        count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        raise _invalid(cron, f"it has {count} instead of minute, hour, day, month and day of the week")
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise _invalid(cron, f"{field!r} is not a list of values, ranges and * with their steps")
    try:
        return next(CronSim(" ".join(fields), datetime.fromtimestamp(after, timezone.utc))).timestamp()
    except CronSimError as error:
        raise _invalid(cron, str(error).lower()) from None
    except StopIteration:
        raise _invalid(cron, "there is no such day") from None


def _invalid(cron: str | None, why: str) -> InvalidSchedule:
    return InvalidSchedule(f"{'NULL' if cron is None else repr(cron)} is no schedule: {why}", hint=_EXAMPLES)
