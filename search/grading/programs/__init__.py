"""Programs by others: found in a solution, run in the jail, graded by tests or by what they print."""
