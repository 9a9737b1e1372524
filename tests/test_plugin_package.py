"""A distribution by somebody else, installed beside ours in a fresh environment and used from the shell.

``tests/plugin_package`` holds it: a strategy, a grader, an engine, an importer, a baseline, and an entry
point that leads nowhere.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from planner.plugins import registries

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tests" / "plugin_package"

pytestmark = pytest.mark.slow

#: what grades the questions: the plug-in's own domain
DOMAIN = "parity" if "planner.graders" in {one.group for one in registries()} else "text"

GRID = """
samples = 8
n = [1, 3]
block = 4
group = 30
runs = 1
strategies = ["cot", "trio"]
max_tokens = 96

[[pair]]
policy = "oracle-of-digits"
"""


@dataclass(frozen=True)
class House:
    """The environment and a folder to work in."""

    bin: Path
    folder: Path

    def run(self, *command: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment."""
        done = subprocess.run(
            [str(self.bin / command[0]), *map(str, command[1:])],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *command: str | Path) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.run("python", "-m", "planner", *command, "--json").stdout)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PLANNER"))}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The wheel of the package, built and installed beside ours."""
    folder = tmp_path_factory.mktemp("plugin")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(PACKAGE)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True, cwd=folder, timeout=120)
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    install = ["-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True, cwd=folder, timeout=120)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # a path line, not a site folder: .pth files in there (an editable install of ours) are not followed
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return House(python.parent, folder)


@pytest.fixture(scope="module")
def problems(house: House) -> Path:
    """Sixty questions of three families, of which thirty-five can be answered."""
    numbers = [*range(10), *range(10, 35), *range(100, 125)]
    lines = [
        {
            "problem_id": f"n{number}",
            "family": f"f{number % 4}",
            "domain": DOMAIN,
            "question": f"Is {number} even or odd?",
            "answer": ("even", "odd")[number % 2],
        }
        for number in numbers
    ]
    path = house.folder / "problems.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def log(house: House, problems: Path) -> Path:
    """A search by the plug-in's engine and strategy, from a grid file."""
    (house.folder / "grid.toml").write_text(GRID)
    made = house.json("search", problems, "-o", "log", "--grid", "grid.toml", "--engine", "rules")
    assert made["rows"]["problems"] == 60
    return house.folder / "log"


@pytest.fixture(scope="module")
def planner(house: House, log: Path) -> Path:
    """A planner that may choose the plug-in's strategy."""
    card = house.json("fit", log, "-o", "planner", "--trials", "0")["card"]
    assert card["problems"] == 60
    return house.folder / "planner"


def test_the_plug_ins_are_listed_and_the_broken_one_is_told(house: House) -> None:
    found = {one["name"]: one for one in house.json("plugins") if one["origin"] == "acme-parity 1.0"}
    wanted = {"trio", "rules", "parity-lines", "thrifty", "never"} | (
        {"parity"} if DOMAIN == "parity" else set()
    )
    assert set(found) == wanted
    assert found["trio"]["caption"] == "the most frequent answer of three samples"
    assert [name for name, one in found.items() if one["error"]] == ["never"]
    printed = house.run("python", "-m", "planner", "plugins")
    assert "cannot be used: strategy 'never'" in printed.stdout
    assert printed.stderr.count("'never' of acme-parity 1.0 cannot be loaded: ModuleNotFoundError") == 1


def test_each_keeps_its_contract(house: House) -> None:
    done = house.run(
        *("python", "-m", "pytest", "-q", "-c", PACKAGE / "pyproject.toml", PACKAGE / "checks"),
        *("-p", "no:cacheprovider"),
    )
    assert re.search(r"^\d\d+ passed in", done.stdout, re.MULTILINE), done.stdout


def test_a_search_and_a_fit_use_them(house: House, planner: Path) -> None:
    code = (
        "import sys; from planner.planner import Planner; p = Planner.load(sys.argv[1]); "
        "print(p.card['choices'])"
    )
    plans = house.run("python", "-c", code, planner)
    assert "trio(n=3)" in plans.stdout


def test_an_evaluation_has_the_baseline(house: House, log: Path, planner: Path) -> None:
    found = house.json("evaluate", log, "--planner", planner, "--budgets", "1,4")
    assert 0.0 < found["budgets"][0]["thrifty"]["accuracy"] < 1.0
    printed = house.run("python", "-m", "planner", "evaluate", log, "--planner", planner, "--budgets", "4")
    assert "thrifty" in printed.stdout


def test_a_question_is_solved(house: House, planner: Path) -> None:
    solved = house.json(
        *("solve", "Is 7 even or odd?", "--planner", planner, "--engine", "rules", "--tokens", "2000"),
    )
    assert solved["policy"] == "oracle-of-digits"
    assert solved["answer"] == "odd"


def test_an_import_reads_the_format(house: House) -> None:
    lines = [{"number": n, "truth": ("even", "odd")[n % 2], "said": ["odd"] * 4} for n in range(6)]
    (house.folder / "said.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = house.json("import", "parity-lines", "said.jsonl", "-o", "imported", "--policy", "me")
    assert made["taken"] == {"problems": 6, "samples": 24}


def test_the_server_answers_with_them(house: House, planner: Path) -> None:
    command = ["-m", "planner", "serve", "--planner", str(planner), "--engine", "rules", "--port", "0"]
    with subprocess.Popen(
        [str(house.bin / "python"), *command],
        cwd=house.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as serving:
        try:
            assert serving.stdout is not None
            address = serving.stdout.readline().split()[2]
            body = {
                "model": "planner/trio(n=3)",
                "messages": [{"role": "user", "content": "Is 4 even or odd?"}],
                "domain": DOMAIN,
            }
            request = urllib.request.Request(
                f"{address}/v1/chat/completions",
                json.dumps(body).encode(),
                {"content-type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                said = json.load(answer)
            with urllib.request.urlopen(f"{address}/v1/models", timeout=60) as answer:
                listed = json.load(answer)
        finally:
            serving.send_signal(signal.SIGINT)
    assert "even" in said["choices"][0]["message"]["content"]
    assert listed["planner"]["plans"]
