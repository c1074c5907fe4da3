"""The fixtures that every test may use; see support/fixtures.py."""

pytest_plugins = [
    "support.fixtures",
    "support.models",
    "support.flowers",
    "support.registering",
    "support.batch",
    "support.roles",
    "support.scorers",
]
