"""The access log: a JSON object a line for each request, without its text, its query or its key.

    {"at": "2026-11-30T12:00:00.000Z", "level": "info", "what": "POST /v1/plan 200", "seconds": ...}

It goes where the other lines of the server go, warnings among them.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from planner.server.access.exchange import Exchange

__all__ = ["JsonLines", "log_access", "log_to_stderr"]

_LOGGER = logging.getLogger("planner.access")

#: where a record holds what its line says beside its words
_FIELDS = "planner_fields"


class JsonLines(logging.Formatter):
    """A JSON object a line; never a traceback's values, never a question. ``worker``: whose they are."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._own = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps(
            {
                "at": at.replace("+00:00", "Z"),
                **self._own,
                "level": record.levelname.lower(),
                "what": " ".join(record.getMessage().split()),
                **getattr(record, _FIELDS, {}),
            }
        )


def log_access(exchange: Exchange) -> None:
    """Write down a request that has ended."""
    fields = {
        "request_id": exchange.request_id,
        "method": exchange.method,
        "path": exchange.path,
        "route": exchange.route,
        "status": exchange.status,
        "seconds": round(exchange.seconds, 6),
        "code": exchange.code,
        "key": exchange.key,
        "client": exchange.client,
    }
    _LOGGER.info("%s %s %d", exchange.method, exchange.path, exchange.status, extra={_FIELDS: fields})


def log_to_stderr(worker: int | None = None) -> None:
    """What the server says, and what Python warns of, as JSON lines on standard error.

    ``worker``: the process, where there are several.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("planner").setLevel(logging.INFO)
    logging.captureWarnings(True)
