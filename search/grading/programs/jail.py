"""The jail: a process shuts itself away before it runs a stranger's program.

``search.grading.programs.forkserver`` calls ``shut_in`` for every program; as a script, with the limits as
JSON on the command line, it runs one in an interpreter of its own. It needs Linux and either root or the
right to make user namespaces, and no package. It makes new namespaces of mounts, processes, network, IPC and
names (of users too, where it is not root); a file system of its own in memory that holds the Python
installation and the system's libraries, read-only, and two empty folders, ``/box`` and ``/tmp``; resource
limits; an empty environment; a user of its own (root becomes one that nobody else is, since limits do not
bind root) without privileges to gain. Whatever runs there sees no file, process or network of ours, and all
of it is killed with the first process. Sources: man 7 namespaces, man 2 pivot_root, man 2 setrlimit.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["end_with_parent", "enter", "shut_in"]

#: the user inside a user namespace
_INSIDE = 1000
#: users that root becomes, one per jail, so that their processes are counted apart
_USERS = 1_879_048_192
#: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID, NEWNET; CLONE_NEWUSER
_NAMESPACES = 0x20000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
_USER_NAMESPACE = 0x10000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_RELATIVE_TIMES = 1 << 21
_DETACH = 2
_PARENT_DEATH, _NO_NEW_PRIVILEGES = 1, 38
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
#: what programs need beside the Python installation
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def enter(limits: Mapping[str, Any], code: str) -> int:
    """Run ``code`` shut away, in a new interpreter; the exit status of what ran. As ``shut_in`` otherwise."""
    python = os.path.realpath(sys.executable)
    end_with_parent()
    first = shut_in(limits)
    if first:
        return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    os.closerange(3, 4096)
    # no isolated mode: it would not let sets have the same order every time
    os.execve(python, [python, "-P", "-s", "-S", "-B", "-c", code], {"PYTHONHASHSEED": "0"})


def end_with_parent() -> None:
    """Have this process killed when the one that made it ends."""
    _call("prctl", _PARENT_DEATH, signal.SIGKILL, 0, 0, 0)


def shut_in(limits: Mapping[str, Any], folders: Sequence[str] = ()) -> int:
    """Make a jail. Returns the number of its first process, and 0 in that process, which is inside.

    The caller is in new namespaces afterwards too, so it is a process that does nothing else. Open files stay
    open inside: whoever runs a stranger's code closes them first.

    Parameters
    ----------
    limits:
        ``cpu`` seconds, ``memory`` bytes per process, ``file`` bytes per file, ``disk`` bytes in all,
        ``processes``, ``open`` files.
    folders:
        Folders and files that are there beside the Python installation, read-only, at their own paths.

    Raises OSError where the kernel does not let it, in the caller or inside.
    """
    user, group = os.getuid(), os.getgid()
    if user == 0:
        _call("unshare", _NAMESPACES)
        inside = _USERS + os.getpid()
    else:
        _call("unshare", _NAMESPACES | _USER_NAMESPACE)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{_INSIDE} {user} 1")
        _write("/proc/self/gid_map", f"{_INSIDE} {group} 1")
        inside = _INSIDE
    first = os.fork()
    if first:
        return first
    os.setsid()  # a signal to its whole group must not reach ours
    _furnish(int(limits["disk"]), inside, folders)
    _limit(limits)
    if user == 0:
        os.setgroups([])
        os.setresgid(inside, inside, inside)
        os.setresuid(inside, inside, inside)
    end_with_parent()  # forgotten when the user changes
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return 0


def _furnish(disk: int, owner: int, folders: Sequence[str]) -> None:
    """A root of its own, made on /tmp (which exists everywhere) and then moved under everything."""
    needed = dict.fromkeys((*_SYSTEM, os.path.realpath(sys.base_prefix), *folders))
    links = {path: os.readlink(path) for path in needed if os.path.islink(path)}
    there = [path for path in needed if os.path.exists(path) and path not in links]
    opened = {path: os.open(path, os.O_PATH) for path in there}  # /tmp is about to be hidden
    _mount(None, "/", None, _RECURSIVE | _PRIVATE, None)
    _mount("jail", "/tmp", "tmpfs", _NO_SUID | _NO_DEVICES, f"size={disk},nr_inodes=4096,mode=755")
    for path, descriptor in opened.items():
        target = f"/tmp{path}"
        if os.path.exists(target):
            continue  # inside a folder that is there already
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.makedirs(target)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
        _mount(f"/proc/self/fd/{descriptor}", target, None, _BIND | _RECURSIVE, None)
        kept = os.statvfs(target).f_flag & (2 | 4 | 8 | 1024 | 2048)
        times = _RELATIVE_TIMES if os.statvfs(target).f_flag & 4096 else 0
        read_only = 0 if path.startswith("/dev/") else _READ_ONLY
        _mount(None, target, None, _BIND | _REMOUNT | _NO_SUID | read_only | kept | times, None)
    for path, target in links.items():
        os.symlink(target, f"/tmp{path}")
    for own in ("/tmp/box", "/tmp/tmp"):
        os.makedirs(own, mode=0o700, exist_ok=True)
        os.chown(own, owner, owner)
    os.makedirs("/tmp/before")
    os.chdir("/tmp")
    if _libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"before") != 0:
        raise OSError(ctypes.get_errno(), f"pivot_root: {os.strerror(ctypes.get_errno())}")
    os.chdir("/")
    _call("umount2", b"/before", _DETACH)
    os.rmdir("/before")
    os.chdir("/box")


def _limit(limits: Mapping[str, Any]) -> None:
    for kind, value in (
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["file"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (int(value), int(value)))


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _call("mount", texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(abs(enter(json.loads(sys.argv[1]), sys.argv[2])))
