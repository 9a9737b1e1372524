"""Decisions: predicted values and costs in, one choice out. Pure, and the same off line and on."""
