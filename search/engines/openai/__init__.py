"""The OpenAI engine: a policy behind any OpenAI-compatible server. Needs the extra ``openai`` (aiohttp)."""
