"""The evidence: a search log as arrays, and what every choice was worth and cost in it."""
