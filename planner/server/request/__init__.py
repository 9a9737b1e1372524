"""One request: what it asks, its work within its budget, its answer and its record."""
