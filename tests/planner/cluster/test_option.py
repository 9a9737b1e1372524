"""``--ray [ADDRESS]``, and what a user of one machine sees of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planner.cli.main import app
from planner.cluster.option import with_address

ROOT = Path(__file__).parents[3]
LAZY = """
import sys
import planner, planner.cli.main, planner.cluster.campaign, search.cluster.campaign, search.storage.place
print(sorted({"ray", "obstore", "boto3"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["p.jsonl", "--ray"], ["p.jsonl", "--ray", "auto"]),
        (["--ray", "-o", "log"], ["--ray", "auto", "-o", "log"]),
        (["--ray", "p.jsonl", "-o", "log"], ["--ray", "auto", "p.jsonl", "-o", "log"]),
        (["--ray", "10.0.0.1:6379", "p"], ["--ray", "10.0.0.1:6379", "p"]),
        (["--ray", "[::1]:6379"], ["--ray", "[::1]:6379"]),
        (["--ray", "ray://head:10001"], ["--ray", "ray://head:10001"]),
        (["--ray", "local"], ["--ray", "local"]),
        (["--ray=head:1"], ["--ray=head:1"]),
        (["--", "--ray"], ["--", "--ray"]),
    ],
)
def test_an_address_may_be_left_out(given: list[str], read: list[str]) -> None:
    assert with_address(given) == read


def test_nothing_of_a_cluster_is_imported_before_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    made = CliRunner().invoke(app, ["train", "problems", "search", "2", "-o", str(tmp_path / "p.jsonl")])
    assert made.exit_code == 0, made.output
    asked = ["search", str(tmp_path / "p.jsonl"), "--policy", "lab-policy-s", "-o", str(tmp_path / "log")]
    refused = CliRunner().invoke(app, [*asked, "--ray"])
    assert refused.exit_code == 2
    assert "pip install 'test-time-planner[ray]'" in " ".join(refused.stderr.split())
    assert not (tmp_path / "log").exists()
