"""How a run spends: its session with the engine and the PRM, resuming, candidates, the conclusion."""
