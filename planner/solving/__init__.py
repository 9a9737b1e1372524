"""Runs what was decided: probes, filters, early stopping, models. One path for all callers."""
