"""Databases that are really there: an SQLite file, and a PostgreSQL of the tests' own.

The server is started once, on a Unix socket in a temporary folder and on no port. Where the machine has
no PostgreSQL, its tests skip by name; with PLANNER_REQUIRE_POSTGRES=1 they fail instead.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))

_NAMES = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """The address of a PostgreSQL that is empty but for what tests create."""
    tools = _tools()
    if isinstance(tools, str):
        if os.environ.get("PLANNER_REQUIRE_POSTGRES") == "1":
            pytest.fail(tools)
        pytest.skip(tools)
    user = _owner()
    # not below pytest's folder, which another user cannot enter; short, as sockets must be
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = folder / "data"
        options = [
            "-D",
            str(data),
            "-U",
            "planner",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--no-instructions",
        ]
        _run([str(tools / "initdb"), *options], user)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(tools / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses="],
                stdout=log,
                stderr=log,
                **_as(user),  # type: ignore[call-overload]
            )
        try:
            address = sa.make_url(f"postgresql://planner@/postgres?host={quote(str(folder))}")
            _await(address, server, folder / "log")
            yield address
        finally:
            server.send_signal(signal.SIGINT)  # SIGTERM would wait for clients to leave
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: sa.URL) -> str:
    """A fresh database."""
    name = f"test{next(_NAMES)}"
    _execute(postgres, f"CREATE DATABASE {name}")
    return postgres.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a decision log: of each kind in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "decisions.db")
    return str(request.getfixturevalue("postgres_url"))


def _tools() -> Path | str:
    """The folder of PostgreSQL's programs, or why there is none."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return "PostgreSQL is not installed: no postgres with initdb beside it"


def _owner() -> pwd.struct_passwd | None:
    """Who runs the server: PostgreSQL refuses root. None: who runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("a PostgreSQL needs a user other than root")


def _as(user: pwd.struct_passwd | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def _run(command: list[str], user: pwd.struct_passwd | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **_as(user))  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr}")


def _await(address: sa.URL, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")
        try:
            _execute(address, "SELECT 1")
            return
        except sa.exc.OperationalError:
            time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not answer: {log.read_text(errors='replace')}")


def _execute(address: sa.URL, command: str) -> None:
    engine = sa.create_engine(
        address.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(command)
    engine.dispose()
