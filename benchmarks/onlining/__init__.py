"""What online.py measures: rows that are scored as they are inserted, and what would be done without modeldb."""
