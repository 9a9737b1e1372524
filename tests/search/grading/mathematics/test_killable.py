"""Workers: they answer, they are killed when they hang, they are replaced, and they never outlive anybody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.errors import GraderDiedError, GraderHungError, MissingExtraError
from search.grading.mathematics.killable import KillablePool

WORKER = """
import json, os, sys, time
answers = globals()["answers"]
print("what a library prints does no harm")
print(json.dumps({"ready": True}), file=answers)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "hang":
        time.sleep(1000)
    if request["do"] == "exit":
        os._exit(3)
    if request["do"] == "fail":
        print(json.dumps({"error": "ValueError: no"}), file=answers)
        continue
    print(json.dumps({"pid": os.getpid(), "said": request.get("said")}), file=answers)
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KillablePool]:
    (tmp_path / "obliging.py").write_text(WORKER)
    monkeypatch.syspath_prepend(tmp_path)
    made = KillablePool("obliging", size=2)
    yield made
    made.close()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_answers_and_is_used_again(pool: KillablePool) -> None:
    first, second = (pool.ask({"do": "answer", "said": "é\n∑"}, 30) for _ in range(2))
    assert first == second
    assert first["said"] == "é\n∑"


def test_one_that_hangs_is_killed_and_replaced(pool: KillablePool) -> None:
    before = pool.ask({"do": "answer"}, 30)["pid"]
    with pytest.raises(GraderHungError, match=r"must answer within 0\.2 s, got none for \{'do': 'hang'\}"):
        pool.ask({"do": "hang"}, 0.2)
    assert not is_running(before)
    assert pool.ask({"do": "answer"}, 30)["pid"] != before


def test_one_that_ends_is_named_and_replaced(pool: KillablePool) -> None:
    with pytest.raises(GraderDiedError, match=r"must answer, got exit status 3 for \{'do': 'exit'\}"):
        pool.ask({"do": "exit"}, 30)
    assert is_running(pool.ask({"do": "answer"}, 30)["pid"])


def test_an_error_of_the_grader_keeps_the_worker(pool: KillablePool) -> None:
    before = pool.ask({"do": "answer"}, 30)["pid"]
    with pytest.raises(GraderDiedError, match="got ValueError: no for"):
        pool.ask({"do": "fail"}, 30)
    assert pool.ask({"do": "answer"}, 30)["pid"] == before


def test_one_that_was_killed_by_others_is_replaced(pool: KillablePool) -> None:
    before = pool.ask({"do": "answer"}, 30)["pid"]
    os.kill(before, 9)
    while is_running(before) and Path(f"/proc/{before}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    assert pool.ask({"do": "answer"}, 30)["pid"] != before


def test_threads_have_workers_of_their_own_and_no_more_than_there_may_be(pool: KillablePool) -> None:
    answers: list[tuple[int, dict[str, object]]] = []

    def ask(number: int) -> None:
        answers.append((number, pool.ask({"do": "answer", "said": number}, 30)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(number == answer["said"] for number, answer in answers)
    assert len({answer["pid"] for _, answer in answers}) <= 2


def test_a_missing_package_is_told_with_the_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacking.py").write_text("print('{\"missing\": \"math_verify\"}', file=globals()['answers'])")
    monkeypatch.syspath_prepend(tmp_path)
    pool = KillablePool("lacking")
    with pytest.raises(
        MissingExtraError, match=r"got no math_verify: pip install 'test-time-planner\[grading\]'"
    ):
        pool.ask({}, 30)


def test_one_that_never_starts_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(1000)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GraderHungError, match=r"must answer within 0\.3 s, got none for its start"):
        KillablePool("slow", start_seconds=0.3).ask({}, 30)


def test_workers_end_with_the_process_that_asked(tmp_path: Path) -> None:
    (tmp_path / "obliging.py").write_text(WORKER)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from search.grading.mathematics.killable import KillablePool\n"
        "import os, signal\n"
        "print(KillablePool('obliging').ask({'do': 'answer'}, 30)['pid'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[4]
    ended = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, timeout=60)
    pid, end = int(ended.stdout), time.monotonic() + 30
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not is_running(pid)


def test_a_pool_needs_a_worker() -> None:
    with pytest.raises(ValueError, match="at least 1 worker, got 0"):
        KillablePool("obliging", size=0)


def test_requests_that_hang_give_their_places_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places and two requests that hang: a third is answered while they do."""
    (tmp_path / "obliging.py").write_text(WORKER)
    monkeypatch.syspath_prepend(tmp_path)
    pool = KillablePool("obliging", size=2, brief=0.05)
    ends: list[type[BaseException]] = []

    def hang() -> None:
        with pytest.raises(GraderHungError, match="within 20 s") as hung:
            pool.ask({"do": "hang"}, 20.0)
        ends.append(hung.type)

    threads = [threading.Thread(target=hang, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert "pid" in pool.ask({"do": "answer"}, 30)
    assert not ends
    assert all(thread.is_alive() for thread in threads)
    pool.close()
