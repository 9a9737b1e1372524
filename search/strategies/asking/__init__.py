"""Strategies that ask the policy about answers that are there, or have it write programs."""
