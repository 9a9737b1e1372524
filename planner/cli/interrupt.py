"""How a long command ends when it is told to: within seconds, saying how to go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]

#: seconds to end cleanly before the process ends as it is
_PATIENCE = 8.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(hint: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM print ``hint`` and end what runs inside; exit codes 130 and 143.

    What does not end within seconds is left as it is, and so is everything at a second signal. Only in a
    process's main thread: elsewhere nobody can listen to signals, and nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int) -> None:
        sys.stderr.flush()
        os._exit(128 + number)  # what it started ends with it; what it logs is whole or not there

    def heard(number: int, _: FrameType | None) -> None:
        for one in _SIGNALS:
            signal.signal(one, lambda again, _: leave(again))
        print(f"planner: stopping. {hint}", file=sys.stderr, flush=True)
        late = threading.Timer(_PATIENCE, leave, (number,))
        late.daemon = True
        late.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, heard) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is heard:
                signal.signal(number, handler)
