"""``planner serve`` as a process, for tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["COMMAND", "ENVIRONMENT", "begun", "snippet"]

#: a clean environment of one torch thread
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PLANNER_")},
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}
#: a coroutine that nobody awaits is an error
COMMAND = [sys.executable, "-W", "error::RuntimeWarning", "-c", "from planner.cli.main import main; main()"]
_ENDING = 60.0


@contextmanager
def begun(options: Sequence[str], folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running ``planner serve`` and its address; what it says of errors is in ``folder / "errors"``."""
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [*COMMAND, "serve", *options], stdout=subprocess.PIPE, stderr=errors, text=True, env=ENVIRONMENT
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            found = re.match(r"planner serve: (http://\S+) ", line)
            assert found, line + (folder / "errors").read_text()
            yield process, found.group(1)
        finally:
            process.terminate()
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def snippet() -> str:
    """The client of ``docs/server.md``, as it stands there."""
    text = (Path(__file__).parents[3] / "docs" / "server.md").read_text(encoding="utf-8")
    marks = r"<!-- snippet: serve -->\n<!-- not run: [^\n]+ -->\n"
    found = re.search(marks + r"```python\n(.*?)```", text, re.DOTALL)
    assert found, "docs/server.md shows a client"
    return found.group(1)
