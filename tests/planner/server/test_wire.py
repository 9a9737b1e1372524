"""Odd bytes on the wire: refused or dropped, never a 5xx, and the server goes on."""

from __future__ import annotations

import json
import socket

import httpx
import pytest
from houses import QUESTION, House

_HEAD = b"POST /v1/plan HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
_BODY = json.dumps({"question": QUESTION}).encode()

ODD = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "negative length": _HEAD + b"content-length: -1\r\n\r\n" + _BODY,
    "two lengths": _HEAD + b"content-length: 5\r\ncontent-length: 50\r\n\r\n" + _BODY,
    "length and chunks": _HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "a chunk of no size": _HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk without end": _HEAD + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
    "a header's name with a space": b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nbad name: 1\r\n\r\n",
    "bytes in a path": b"GET /v1/\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "a zero in a path": b"GET /v1/decisions/%00 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "half a character in a path": b"GET /v1/decisions/%ff%fe HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "an unknown method": b"BREW /v1/plan HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "a bad key": b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer \xff\xfe\r\n\r\n",
    "a bad budget": _HEAD.replace(b"plan", b"chat/completions")
    + b"x-planner-budget: {\xff\r\ncontent-length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD)
def test_odd_bytes_do_no_harm(house: House, sent: bytes) -> None:
    port = int(house.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20.0) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        said = b""
        while piece := raw.recv(65536):
            said += piece
    assert not said or said.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), said[:200]
    assert httpx.get(f"{house.url}/healthz").status_code == 200


def test_of_a_key_that_comes_twice_the_last_counts(house: House) -> None:
    twice = f'{{"model": "nobody", "question": "{QUESTION}", "model": "planner"}}'
    headers = {"content-type": "application/json"}
    assert httpx.post(f"{house.v1}/plan", content=twice, headers=headers).status_code == 200
    other = twice.replace("planner", "nobody")
    assert httpx.post(f"{house.v1}/plan", content=other, headers=headers).status_code == 404
