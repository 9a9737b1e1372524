"""Campaigns on more than one machine. Nothing here is imported by a campaign of one process."""
