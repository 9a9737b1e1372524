"""Servers elsewhere: connections, retries and a circuit, for engines and rewards alike.

Needs the extra ``openai`` (aiohttp). Knows nothing of policies, PRMs or tokens.
"""
