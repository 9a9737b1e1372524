"""``planner serve``: an OpenAI-compatible server that plans each request under its budget."""
