"""How fast a log is read and a planner fitted, and how much memory that takes, by the size of the log.

    python benchmarks/fit_speed.py [--rows 100000 1000000] [--trials 30] [--threads 2] [--keep FOLDER]

An outcome row is a problem x choice: what one choice is worth on one problem. The generated logs
(``generated_log.py``) have 64 choices, so a log of 10^6 outcomes has 15,625 problems, with the pools that the
outcomes stand for: 4.5 million samples, 9 million scores, 188,000 runs of tree searches. A fit reads
those, not the outcomes' own numbers. For each size, each in a process of its own:

- ``read``: ``planner.evidence.training_data.read_training_data``, the log as arrays;
- ``fit``: the command ``planner fit LOG --trials 30 --threads 2``, reading, study, final fit and artefact;
- ``text``: ``read`` again on logs of the smallest size whose samples carry texts of 0, 400 and 4,000
  characters: a column that no fit uses.

CPU seconds are user and system time of all threads. Seconds depend on what else runs; ``cores`` is CPU
seconds over seconds. Memory is the largest resident set. Sizes measured earlier stay in ``fit_speed.json``
beside this file until they are measured again; ``fit_speed.md`` is written from it. It asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from generated_log import CHOICES, DRAWS, POLICIES, PRMS, generated_log

HERE = Path(__file__).parent
_TEXTS = (0, 400, 4000)
READ = """
import sys
from planner.evidence.training_data import read_training_data
from search.log.store import SearchLog
log = SearchLog.open(sys.argv[1])
print(len(read_training_data(log, log.manifest.policies, log.manifest.prms)))
"""


def measured(command: list[str], threads: int) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory (MB) of a command."""
    limits = {"POLARS_MAX_THREADS": str(threads), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | limits, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    seconds, cpu = time.perf_counter() - begin, usage.ru_utime + usage.ru_stime
    return {"seconds": seconds, "cpu": cpu, "cores": cpu / seconds, "peak_mb": usage.ru_maxrss / 1024}


def of_size(rows: int, folder: Path, trials: int, threads: int) -> dict[str, Any]:
    """Everything that is measured of one size."""
    problems = -(-rows // len(CHOICES))
    log, model = folder / f"log-{rows}", folder / f"planner-{rows}"
    if not log.exists():
        generated_log(folder / "half", problems)
        (folder / "half").rename(log)
    shutil.rmtree(model, ignore_errors=True)
    bare = measured([sys.executable, "-c", READ.partition("log =")[0], str(log)], threads)
    read = measured([sys.executable, "-c", READ, str(log)], threads)
    tell(f"{rows} read", read)
    planner = Path(sys.executable).parent / "planner"
    how = ["--trials", str(trials), "--threads", str(threads)]
    fit = measured([str(planner), "fit", str(log), "-o", str(model), *how], threads)
    tell(f"{rows} fit", fit)
    card = json.loads((model / "planner.json").read_text())["card"]
    counts = {name: card[name] for name in ("trials", "pruned", "failed")}
    return {
        "rows": rows,
        "problems": problems,
        "samples": problems * (DRAWS + 1) * len(POLICIES),
        "scores": problems * DRAWS * len(POLICIES) * len(PRMS),
        "megabytes": sum(f.stat().st_size for f in log.rglob("*.parquet")) / 2**20,
        "imports": bare,
        "read": read,
        "fit": fit | counts | {"threads": threads},
    }


def texts(rows: int, folder: Path, threads: int) -> list[dict[str, float]]:
    """``read`` on logs that differ in a column that is not read."""
    out = []
    for length in _TEXTS:
        log = folder / f"text-{length}"
        if not log.exists():
            generated_log(log, -(-rows // len(CHOICES)), text=length)
        out.append(
            {"characters": length, "rows": rows, **measured([sys.executable, "-c", READ, str(log)], threads)}
        )
        tell(f"texts of {length}", out[-1])
    return out


def tell(what: str, found: dict[str, float]) -> None:
    """One line of progress."""
    print(
        f"{what}: {found['seconds']:.1f} s, {found['cpu']:.1f} CPU s, {found['peak_mb']:.0f} MB", flush=True
    )


def page(found: dict[str, Any]) -> str:
    """The readable table."""
    lines = [
        "# Speed of fitting",
        "",
        "`python benchmarks/fit_speed.py`, which says what is measured. Two cores, shared with other work of",
        "higher priority: seconds tell what was left over, CPU seconds what the work takes.",
        "",
        "| outcome rows | problems | samples | scores | Parquet MB |",
        "|---|---|---|---|---|",
    ]
    sizes = sorted(found["sizes"].values(), key=lambda entry: int(entry["rows"]))
    lines += [
        f"| {e['rows']:,} | {e['problems']:,} | {e['samples']:,} | {e['scores']:,} | {e['megabytes']:.0f} |"
        for e in sizes
    ]
    lines += [
        "",
        "| outcome rows | what | rows per CPU second | CPU s | s | cores it got | peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in sizes:
        for what in ("read", "fit"):
            part = entry[what]
            name = what if what == "read" else f"fit, {part['trials']} trials ({part['pruned']} pruned)"
            lines.append(
                f"| {entry['rows']:,} | {name} | {entry['rows'] / part['cpu']:,.0f} | {part['cpu']:.0f} "
                f"| {part['seconds']:.0f} | {part['cores']:.2f} | {part['peak_mb']:,.0f} |"
            )
    lines += ["", "What a column that no fit uses costs: `read` with texts of so many characters.", ""]
    lines += ["| characters a sample | outcome rows | peak MB |", "|---|---|---|"]
    lines += [f"| {e['characters']:,} | {e['rows']:,} | {e['peak_mb']:,.0f} |" for e in found["texts"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[10**5, 10**6, 10**7])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep the generated logs here and use them again")
    asked = parser.parse_args()
    kept = HERE / "fit_speed.json"
    found = json.loads(kept.read_text()) if kept.exists() else {"sizes": {}, "texts": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for rows in asked.rows:
            found["sizes"][str(rows)] = of_size(rows, folder, asked.trials, asked.threads)
            kept.write_text(json.dumps(found, indent=1) + "\n")
            (HERE / "fit_speed.md").write_text(page(found))
        found["texts"] = texts(10**5, folder, asked.threads)
        kept.write_text(json.dumps(found, indent=1) + "\n")
        (HERE / "fit_speed.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
