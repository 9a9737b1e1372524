"""Commands that learn a planner, and those that judge one."""
