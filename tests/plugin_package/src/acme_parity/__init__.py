"""Even or odd: plug-ins of every kind for test-time-planner, each as small as it can be."""
