"""Campaigns: a grid on a problem set into a search log, unit of work after unit of work."""
