"""Votes that end when they are sure, and weights of votes."""
