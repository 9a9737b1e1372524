"""Whether live questions lean away from those that the planner was fitted on."""
