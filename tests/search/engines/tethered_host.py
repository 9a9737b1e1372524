"""A process with a child and a grandchild that ignore every polite signal, as vLLM's do: for the tests that
kill it. ``python tethered_host.py hold|forget|cut`` prints their ids and waits; ``forget``: they write over
their environment, as vLLM's do.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from search.engines.tether import Tether

GRANDCHILD = """
import ctypes, os, signal, sys, time

def forget():
    # as setproctitle does: writes over the environment that /proc shows
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])
    ctypes.memset(start, 0, end - start)

for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(name, signal.SIG_IGN)
time.sleep(0.5)
if len(sys.argv) > 1:
    forget()
print(os.getpid(), flush=True)
while True:
    time.sleep(60)
"""
CHILD = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {GRANDCHILD!r}, *sys.argv[1:]], start_new_session=True)
{GRANDCHILD}
"""


def main(how: str) -> None:
    # whoever runs the tests in the background ignores SIGINT, and a child inherits that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tether = Tether()
    with tether.holding():
        forgets = ["forget"] if how == "forget" else []
        child = subprocess.Popen([sys.executable, "-c", CHILD, *forgets], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        numbers = [child.stdout.readline().strip() for _ in range(2)]
    print(*numbers, flush=True)
    if how == "cut":
        sys.stdin.readline()
        tether.cut()
        print("cut", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main(sys.argv[1])
