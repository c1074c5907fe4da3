"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """What was looked at, how it is, and what to run. A warning does not keep modeldb from working."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    advice: str | None = None
