"""A process that records decisions and tells what it did, until it is killed.

Prints ``put NAME TIME`` after each decision is handed over, and ``told NAME`` after feedback is acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
import time

from made import decision

from planner.server.decisions.log import DecisionLog
from planner.server.decisions.recorder import Feedback


async def main(where: str) -> None:
    log = DecisionLog.open(where)
    number = 0
    while True:
        name = f"d{number:06d}"
        log.record(decision(name, float(number)))
        print("put", name, time.monotonic(), flush=True)
        if number % 20 == 10:
            assert await log.feedback(Feedback(name, 0.0, correct=True))
            print("told", name, flush=True)
        await asyncio.sleep(0.002)
        number += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
