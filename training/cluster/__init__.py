"""A planner study on more than one machine."""
