"""Searches over steps."""
