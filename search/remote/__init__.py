"""Servers elsewhere: connections, retries and a circuit, for engines and rewards alike.

Needs the extra ``openai`` (httpx). Knows nothing of policies, PRMs or tokens.
"""
