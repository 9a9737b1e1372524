"""Reward models computed in this process: families of checkpoints, heads, and the decoders under them."""
