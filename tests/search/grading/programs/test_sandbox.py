"""A stranger's program does no harm, whatever it tries, and how it ended is said.

Each attack also runs outside the jail where that is harmless, or its effect is looked for from outside, so
that none of these tests passes because the attack was no attack.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from search.errors import GradingError
from search.grading.programs import forked, sandbox
from search.grading.programs.sandbox import Ending, Ran, SandboxLimits, run

QUICK = SandboxLimits(seconds=20.0, cpu=1)
JAIL = Path(sandbox.__file__).with_name("jail.py")


def told(program: str, call: str = "f()", limits: SandboxLimits = QUICK) -> str:
    ran = run(program, calls=[call], limits=limits)
    assert ran.ending is Ending.FINISHED, ran
    return ran.outputs[0]


def test_a_program_runs_and_its_calls_are_told() -> None:
    ran = run(
        "def f(x):\n    return x / 3", calls=["f(1)", "f(None)", "[(f(6), {2, 1})]", "g()", "{'a': f(9)}"]
    )
    assert ran == Ran(
        Ending.FINISHED, "", ("0.333333333", "!TypeError", "[(2, {1, 2},)]", "!NameError", "{'a': 3}")
    )


def test_tests_run_beside_the_program() -> None:
    program = "def f(x):\n    return 2 * x"
    assert run(program, tests="assert f(2) == 4") == Ran(Ending.FINISHED)
    assert run(program, tests="assert f(2) == 5") == Ran(Ending.RAISED, "AssertionError")
    assert run("def f(", tests="assert f(2) == 5") == Ran(Ending.RAISED, "SyntaxError")
    assert run("raise SystemExit(0)") == Ran(Ending.RAISED, "SystemExit")


def test_leaving_early_is_no_success() -> None:
    assert run("import os\nos._exit(0)", tests="pass") == Ran(Ending.DIED, "exit 0")
    assert run("def f():\n    import os\n    os._exit(0)", tests="f()").ending is Ending.DIED


def test_an_infinite_loop_is_ended_by_its_cpu_limit() -> None:
    assert run("while True:\n    pass", limits=QUICK).ending is Ending.TIME


def test_one_that_sleeps_is_ended_by_the_clock() -> None:
    began = time.monotonic()
    ran = run("import time\ntime.sleep(1000)", limits=SandboxLimits(seconds=0.8))
    assert ran.ending is Ending.TIME
    assert time.monotonic() - began < 500


def test_a_fork_bomb_ends_with_its_jail() -> None:
    mark = f"bomb{os.getpid()}"
    program = f"""
import ctypes, os, time
ctypes.CDLL(None).prctl(15, {mark.encode()!r}, 0, 0, 0)
made, ended = 0, ""
try:
    while True:
        if os.fork() == 0:
            time.sleep(1000)
        made += 1
except OSError as error:
    ended = type(error).__name__
def f():
    time.sleep(1.5)
    return f"{{ended}} after {{made}}"
"""

    def named() -> list[Path]:
        return [path for path in Path("/proc").glob("[0-9]*/comm") if _bytes(path).strip() == mark.encode()]

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(told, program)
        seen = 0
        while not running.done():
            seen = max(seen, len(named()))
            time.sleep(0.02)
        assert running.result() == f"'BlockingIOError after {QUICK.processes - 1}'"
    assert seen > 1
    end = time.monotonic() + 20
    while named() and time.monotonic() < end:
        time.sleep(0.02)
    assert named() == []


def test_ten_gigabytes_are_refused() -> None:
    assert run("x = bytearray(10 << 30)", limits=QUICK) == Ran(Ending.RAISED, "MemoryError")
    assert told("def f():\n    return len(bytearray(10 << 20))") == str(10 << 20)


def test_files_of_ours_are_not_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("ours")
    secret.chmod(0o644)
    for path in (secret, Path("/etc/passwd"), Path("/proc/1/environ"), Path(__file__), Path.cwd()):
        assert told(f"def f():\n    return open({str(path)!r}).read()") == "!FileNotFoundError"
    assert told("import os\ndef f():\n    return os.listdir('.')") == "[]"


def test_nothing_of_the_system_can_be_written_and_little_of_its_own() -> None:
    folder = os.path.realpath(sys.base_prefix)
    for path in (f"{folder}/x", "/usr/x", "/usr/lib/x"):
        assert told(f"def f():\n    return open({path!r}, 'w')") in ("!OSError", "!PermissionError")
    assert told("def f():\n    return open('mine', 'w').write('x' * 1000)") == "1000"
    assert told("def f():\n    return open('mine', 'w').write('x' * (2 << 20))") == "!OSError"
    many = "def f():\n    for i in range(100):\n        open(str(i), 'w').write('x' * (1 << 19))"
    assert told(many) == "!OSError"


def test_no_network_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        program = f"import socket\ndef f():\n    return socket.create_connection(('127.0.0.1', {port}), 2)"
        assert told(program) in ("!OSError", "!ConnectionRefusedError")
        with pytest.raises(TimeoutError):
            server.accept()
        socket.create_connection(("127.0.0.1", port), 2).close()  # it can be reached from out here
        server.accept()[0].close()


def test_a_program_cannot_kill_its_parent_nor_anybody() -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    try:
        program = """
import os, signal
def f(pid):
    os.kill(pid, signal.SIGKILL)
    return "sent"
"""
        assert told(program, f"f({bystander.pid})") == "!ProcessLookupError"
        assert told(program, f"f({os.getpid()})") == "!ProcessLookupError"
        # the parent's number is not known there; 0 is the jail's own group, -1 all that the jail sees
        assert told(program, "f(os.getppid())") == "'sent'"
        assert told(program, "f(-1)") in ("'sent'", "!ProcessLookupError")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_the_environment_is_empty_and_no_descriptor_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "ours")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        assert told("import os\ndef f():\n    return dict(os.environ)") == "{}"
        assert told("import os\ndef f(n):\n    return os.fstat(n)", f"f({write})") == "!OSError"
    finally:
        os.close(read)
        os.close(write)


def test_no_privilege_is_left_or_to_be_had() -> None:
    assert told("import os\ndef f():\n    return os.getuid() != 0 and os.geteuid() != 0") == "True"
    assert told("import os\ndef f():\n    return os.setuid(0)") == "!PermissionError"
    assert told("import os\ndef f():\n    return os.chroot('/')") == "!PermissionError"


def test_a_flood_of_output_does_not_drown_anybody() -> None:
    ran = run("print('x' * 10**7)\ndef f():\n    return 'y' * 10**7", calls=["f()"], limits=QUICK)
    assert ran.ending is Ending.FINISHED
    assert len(ran.outputs[0]) == 10_000


def test_sets_come_in_one_order_every_time() -> None:
    program = "def f():\n    return list({'one', 'two', 'three', 'four'})"
    assert len({told(program) for _ in range(3)}) == 1


def test_where_no_jail_can_be_made_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "jail.py"
    broken.write_text("raise OSError(1, 'unshare: Operation not permitted')")
    monkeypatch.setattr(forked, "JAIL", broken)
    with pytest.raises(GradingError, match=r"only in a jail, .* got .*unshare: Operation not permitted"):
        run("x = 1")


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="cpu must be positive, got 0"):
        SandboxLimits(cpu=0)


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv") or not Path("/usr/bin/python3").exists(),
    reason="takes root, setpriv and the system's own python3 to become somebody else",
)
def test_a_user_without_rights_gets_the_same_jail(tmp_path: Path) -> None:
    jail = Path("/tmp") / f"jail-{os.getpid()}.py"  # a folder that others may read
    jail.write_text(JAIL.read_text())
    jail.chmod(0o644)
    limits = {"cpu": 2, "memory": 512 << 20, "file": 1 << 20, "disk": 16 << 20, "processes": 4, "open": 64}
    code = "import os; os.kill(0, 15); print(os.getpid(), os.getuid(), sorted(os.listdir('/')), flush=True)"
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3"]
    try:
        ended = subprocess.run(
            [*command, "-I", str(jail), json.dumps(limits), code],
            capture_output=True,
            text=True,
            cwd="/",
            timeout=60,
        )
    finally:
        jail.unlink()
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("1 1000 ['bin', 'box', ")
    assert "'proc'" not in ended.stdout


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_folder_for_temporary_files_is_there_and_private() -> None:
    program = """
import os, tempfile
def f():
    with open("/tmp/mine", "w") as file:
        file.write("x")
    with tempfile.NamedTemporaryFile() as file:
        folder = os.path.dirname(file.name)
    return os.listdir("/tmp"), folder, oct(os.stat("/tmp").st_mode & 0o777)
"""
    for _ in range(2):  # nothing is left of the first
        assert told(program) == "(['mine'], '/tmp', '0o700',)"


def test_packages_are_there_by_name_alone() -> None:
    program = "import numpy\ndef f():\n    return int(numpy.arange(4).sum())"
    assert run(program, calls=["f()"]) == Ran(Ending.RAISED, "ModuleNotFoundError")
    allowed = run(program, calls=["f()"], packages=["numpy"])
    assert allowed == Ran(Ending.FINISHED, "", ("6",))
    assert run("import pint", packages=["numpy"]) == Ran(Ending.RAISED, "ModuleNotFoundError")
    with pytest.raises(GradingError, match="must be installed, got 'no-such-package'"):
        run("x = 1", packages=["no-such-package"])


def test_what_a_package_needs_comes_with_it_and_all_else_holds() -> None:
    program = """
import os, socket, sympy
def f():
    x = sympy.symbols("x")
    return str(sympy.integrate(x * sympy.sin(x), x)), len(os.listdir(os.path.dirname(sympy.__path__[0]))) < 20
def g():
    return open(os.path.join(sympy.__path__[0], "x"), "w")
def h():
    return socket.create_connection(("127.0.0.1", 9), 1)
"""
    ran = run(program, calls=["f()", "g()", "h()", "open('/etc/passwd')"], packages=["sympy"], limits=QUICK)
    assert ran.outputs[0] == "('-x*cos(x) + sin(x)', True,)"
    assert ran.outputs[1] in ("!OSError", "!PermissionError")
    assert ran.outputs[2] in ("!OSError", "!ConnectionRefusedError")
    assert ran.outputs[3] == "!FileNotFoundError"


def test_programs_share_nothing_of_what_they_change() -> None:
    run(
        "import math, builtins, sys\nmath.pi = 3\nbuiltins.len = None\n"
        "sys.path.append('mine')\nopen('left', 'w').close()"
    )
    program = """
import math, os, sys
def f():
    return math.pi > 3.1, len('ab'), 'mine' in sys.path, os.listdir('.'), sys.argv
"""
    assert told(program) == "(True, 2, False, [], [''],)"
    assert told("import random\ndef f():\n    return random.random()") != told(
        "import random\ndef f():\n    return random.random()"
    )


def test_many_run_at_once_and_each_gets_its_own_answer() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: told(f"def f():\n    return {n} * {n}"), range(40)))
    assert found == [str(n * n) for n in range(40)]


def test_programs_end_with_the_process_that_asked() -> None:
    mark = f"left{os.getpid()}"
    program = f"""
import ctypes, time
ctypes.CDLL(None).prctl(15, {mark.encode()!r}, 0, 0, 0)
time.sleep(1000)
"""
    code = f"""
from search.grading.programs.sandbox import SandboxLimits, run
run({program!r}, limits=SandboxLimits(seconds=900))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    asking = subprocess.Popen([sys.executable, "-c", code], env=environment)

    def runs() -> bool:
        return any(_bytes(path).strip() == mark.encode() for path in Path("/proc").glob("[0-9]*/comm"))

    end = time.monotonic() + 60
    while not runs() and time.monotonic() < end:
        time.sleep(0.02)
    assert runs()
    asking.kill()
    asking.wait()
    while runs() and time.monotonic() < end:
        time.sleep(0.02)
    assert not runs()


def test_servers_can_be_ended_and_start_again() -> None:
    assert told("def f():\n    return 1") == "1"
    forked.Forked.close_all()
    assert told("def f():\n    return 2") == "2"
