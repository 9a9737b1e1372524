"""Reward models behind a server, or in a vLLM of this process."""
