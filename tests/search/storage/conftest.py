"""A real server of the S3 protocol, in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

#: what a client of the tests' server finds in its environment
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of the server, with a bucket ``logs``."""
    obstore = pytest.importorskip("obstore")
    server = pytest.importorskip("moto.server")
    assert obstore is not None
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        responses = pytest.importorskip("moto.s3.responses").S3Response
        patch.setattr(responses, "put_object", _one_at_a_time(responses.put_object))
        running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        yield f"http://{host}:{port}"
        running.stop()


def _one_at_a_time(put: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """moto looks whether a condition holds, and puts later; S3 does both at once."""
    lock = threading.Lock()

    def put_object(response: Any) -> Any:
        with lock:
            return put(response)

    return put_object


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The address of an empty prefix; the environment knows the server."""
    import boto3

    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=s3_server, region_name="us-east-1")
    client.create_bucket(Bucket="logs")
    client.close()
    return f"s3://logs/{request.node.name.replace('[', '-').replace(']', '')}"
