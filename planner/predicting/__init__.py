"""What was learned, as pure functions of arrays: trees, neighbours, calibration, bounds. Knows no plan."""
