"""Adds a policy or a PRM to a fitted planner, from a small log."""
