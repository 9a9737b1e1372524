"""The graders of the lab's problems. They reach the registry through this distribution's entry points."""
