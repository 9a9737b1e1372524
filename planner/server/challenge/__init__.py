"""The challenger: another planner that decides beside the one that serves, on part of the traffic."""
