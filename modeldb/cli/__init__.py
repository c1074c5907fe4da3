"""The command line: ``modeldb --help``. Each command is a thin client of the Python API, which is one of SQL."""

from __future__ import annotations

from modeldb.cli import batch, databases, models, predictions, registering, score, servers, worker
from modeldb.cli.app import main

__all__ = ["main"]

for topic in (servers, databases, registering, models, predictions, batch, score, worker):
    for command in topic.COMMANDS:
        main.add_command(command)
