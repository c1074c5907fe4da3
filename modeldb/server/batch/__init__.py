"""Many rows in one statement: rows reach numpy, and predictions PostgreSQL, a chunk of some thousands at a time."""
