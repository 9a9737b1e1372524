"""How a run spends: its session with the engine and the PRM, reservations, resuming, the conclusion."""
