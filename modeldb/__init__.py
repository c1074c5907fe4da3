"""Machine-learning models as data inside PostgreSQL."""

__version__ = "0.1.0"
