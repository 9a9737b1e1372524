"""The policy's own server: requests that nothing is planned for go there as they came.

Nothing is sent twice but what was never accepted: a refused connection. Answers come back with our id and a
receipt; their ``usage`` is the server's.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

from planner.server.refusal import Refusal

__all__ = ["OURS", "Upstream"]

#: fields of a request that are ours, not the policy server's
OURS = frozenset({"budget", "domain", "abstain_below", "include", "policy", "prm"})

#: pools of connections that requests go to in turn: one pool walks all its connections at every request
_POOLS = 16

_KNOWN = (400, 401, 403, 404, 408, 409, 413, 422, 429)


class Upstream:
    """An OpenAI-compatible server.

    Parameters
    ----------
    base_url:
        ``http://127.0.0.1:8000/v1``, with or without ``/v1``.
    model:
        What the server calls the policy.
    policy:
        What the planner calls it.
    api_key:
        Sent as a bearer token; never shown.
    """

    def __init__(
        self, base_url: str, model: str, policy: str, *, api_key: str | None = None, silence: float = 600.0
    ) -> None:
        self.model = model
        self.policy = policy
        self._url = base_url.rstrip("/").removesuffix("/v1") + "/v1"
        verify = httpx.create_ssl_context(trust_env=False)  # once for all
        self._clients = tuple(
            httpx.AsyncClient(
                headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
                timeout=httpx.Timeout(silence, connect=5.0),
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=4.0),
                verify=verify,
                # no proxy of the environment's: this is the operator's own address
                trust_env=False,
            )
            for _ in range(_POOLS)
        )
        self._turns = itertools.cycle(self._clients)

    async def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the whole answer. Raises Refusal."""
        response = await self._send(path, body)
        try:
            content = await response.aread()
        except httpx.HTTPError as error:
            raise _failed(error) from error
        finally:
            await response.aclose()
        return _object(content)

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Send a request and yield its chunks. Raises Refusal."""
        response = await self._send(path, body)
        try:
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                content = line[5:].strip()
                if content == "[DONE]":
                    return
                yield _object(content.encode())
        except httpx.HTTPError as error:
            raise _failed(error) from error
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()

    async def _send(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        content = json.dumps({**{k: v for k, v in body.items() if k not in OURS}, "model": self.model})
        client = next(self._turns)
        request = client.build_request(
            "POST", f"{self._url}{path}", content=content, headers={"Content-Type": "application/json"}
        )
        for last in (False, True):
            try:
                response = await client.send(request, stream=True)
                break
            except httpx.ConnectError as error:  # nothing was accepted, so nothing is charged twice
                if last:
                    raise _failed(error) from error
            except httpx.HTTPError as error:
                raise _failed(error) from error
        if response.status_code == 200:
            return response
        try:
            said = _message(await response.aread())
        except httpx.HTTPError:
            said = ""
        finally:
            await response.aclose()
        status = response.status_code if response.status_code in _KNOWN else 502
        wait = response.headers.get("retry-after", "")
        raise Refusal(
            f"the policy's server must answer, got {response.status_code}: {said}",
            status if status not in (401, 403) else 502,  # those are about our key, not the client's
            code="policy_refused" if status < 500 else "policy_failed",
            retry_after=float(wait) if wait.isdigit() else None,
        )


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal(
            "the policy's server must answer with JSON, got something else", 502, code="policy_failed"
        )
    return found


def _message(content: bytes) -> str:
    """What the server says of a refusal, cut: its words, about the client's own request."""
    try:
        found = json.loads(content)
        error = found.get("error", found) if isinstance(found, dict) else found
        said = error.get("message", "") if isinstance(error, dict) else error
        return str(said)[:500]
    except (ValueError, AttributeError):
        return ""


def _failed(error: Exception) -> Refusal:
    return Refusal(f"the policy's server must answer, got {type(error).__name__}", 502, code="policy_failed")
