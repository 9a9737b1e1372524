"""Votes: which answer wins, for one run, for many rows at once, and on an event loop."""
