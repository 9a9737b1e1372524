"""Cross-validation over families: what every fold met, and the verdict on a log."""
