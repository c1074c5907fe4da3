"""The command line: ``modeldb --help``. Each command is a thin client of the Python API, which is one of SQL."""

from __future__ import annotations

from modeldb.cli import databases, models, predictions, registering, servers
from modeldb.cli.app import main

__all__ = ["main"]

for command in (*servers.COMMANDS, *databases.COMMANDS, *registering.COMMANDS, *models.COMMANDS, *predictions.COMMANDS):
    main.add_command(command)
