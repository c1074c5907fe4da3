"""What batch.py measures: the ways to score a table, the rounds that they are timed in, and the report."""
