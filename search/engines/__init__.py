"""Engines write tokens: torch, vLLM, OpenAI-compatible servers, a scripted fake."""
