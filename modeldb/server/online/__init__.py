"""Online scoring: rows of a table are scored as they are written, or soon after by a worker."""
