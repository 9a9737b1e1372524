"""Record the golden files anew: ``python tests/golden/record.py``, or with names: ``... record.py http``.

The files hold what decisions, logs and the server's answers must stay like while the code is rebuilt.
Recording them anew is allowed only where a change of behaviour is wanted; the commit that does so says which
change, and why. It is never the way to make a red test green. A difference that comes from a renamed or moved
class is mended in ``adapter.py``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import golden_files as files
import golden_made as made

__all__ = ["main"]


def main(names: list[str]) -> None:
    """Record what is named, or else everything."""
    for name in names or ["decisions", "campaign", "http"]:
        if name == "decisions":
            asked = made.decision_cases()
            content = {"cases": asked, "decisions": made.decisions(asked)}
        elif name == "campaign":
            problems = made.campaign_problems()
            with tempfile.TemporaryDirectory() as folder:
                content = {"given": problems, "tables": made.campaign(problems, Path(folder))}
        elif name == "http":
            content = {"scripted": made.http(scripted=True), "lab": made.http(scripted=False)}
        else:
            raise SystemExit(f"what is recorded is decisions, campaign or http, got {name!r}")
        print(f"{name}: {files.write(name, content):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
