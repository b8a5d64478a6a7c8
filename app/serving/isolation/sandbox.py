"""Sandbox for the process of an isolated model: Landlock for files, seccomp for the rest.

The process can read Python, its libraries and its model file, and write its temporary folder. It
cannot open sockets, start processes, signal or limit others, nor lift these restrictions.

The packages on PyPI are unreleased (``landlock`` 1.0.0.dev5) or new (``py-landlock`` 0.1.1), and
do not filter system calls, which is necessary to block sockets other than TCP.

Sources: landlock(7), seccomp(2), Linux' ``Documentation/userspace-api/landlock.rst``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
CLONE_THREAD = 0x10000

#: The numbers of Landlock's system calls, the same on all processors.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULE_PATH_BENEATH = 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
WRITE_FILE, TRUNCATE, IOCTL = 1 << 1, 1 << 14, 1 << 15
#: Rights that apply to files; the others apply only to folders.
OF_FILES = 1 | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
#: Rights that each version of Landlock supports, from version 1 on.
RIGHTS = (0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
BIND_AND_CONNECT = 3  # from version 4 on
ABSTRACT_SOCKETS_AND_SIGNALS = 3  # from version 6 on

#: System folders and files that libraries read.
SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/self",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
)
#: Names of folders with installed packages.
PACKAGES = frozenset({"site-packages", "dist-packages"})

#: By processor: its number in seccomp, and its column in the tables of system calls below. The
#: number of a call that it lacks is -1.
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
DENIED: dict[str, tuple[int, int]] = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "execve": (59, 221),
    "execveat": (322, 281),
    "finit_module": (313, 273),
    "fork": (57, -1),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "semctl": (66, 191),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "setns": (308, 268),
    "setpgid": (109, 154),
    "setpriority": (141, 140),
    "setsid": (112, 157),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vfork": (58, -1),
}
CLONE, CLONE3 = (56, 220), (435, 435)
#: System calls whose first argument is a PID, which may only be this process's: kill and its
#: variants. A kill of 0 would reach the whole process group.
KILLS = ((62, 129), (234, 131), (129, 138), (297, 240))
#: Those in which 0 is this process too.
OF_PROCESS: dict[str, tuple[int, int]] = {
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
}
#: ``fcntl`` and its commands that choose the process which a file signals.
FCNTL, F_SETOWN, F_SETOWN_EX = (72, 25), 8, 15
#: First number of the x32 system calls of x86_64, which are denied.
X32 = 0x40000000

# Instructions of the Berkeley Packet Filter.
LOAD, EQUAL, AT_LEAST, HAS_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, DENY = 0x7FFF0000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT, SECOND_ARGUMENT_AT = 0, 4, 16, 24


class NoSandbox(Exception):
    """The system does not support the sandbox; the message gives the reason."""


def enter(reads: Iterable[str | os.PathLike[str]], folder: str) -> None:
    """Restrict this process, which must have one thread, for the rest of its life.

    :param reads: files and folders that it may read, besides Python and its libraries.
    :param folder: in which it may read, create, write and delete, but not execute.
    :raises NoSandbox: if the system lacks a part of the sandbox. Other parts may be in force.
    """
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        raise NoSandbox(f"not supported on {sys.platform}, {platform.machine()}")
    if len(os.listdir("/proc/self/task")) != 1:
        raise NoSandbox("the process has several threads")
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        raise NoSandbox("the kernel does not support Landlock (Linux 5.13 or newer)")
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _restrict_files(libc, version, reads, folder)
    _restrict_calls(libc)


def libraries() -> Iterator[Path]:
    """Yield the files and folders of Python and of all importable modules.

    Of a folder on ``sys.path`` that may hold other files too, only the modules and packages.
    """
    yield from {Path(each) for each in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    for place in {Path(each or ".") for each in sys.path}:
        if place.name in PACKAGES or place.is_file():
            yield place
        elif place.is_dir():
            yield from (each for each in place.iterdir() if _is_module(each))


def _is_module(place: Path) -> bool:
    if place.is_dir():
        return any(place.glob("*.py"))
    return place.suffix in {".py", ".so"}


def _restrict_files(
    libc: ctypes.CDLL, version: int, reads: Iterable[str | os.PathLike[str]], folder: str
) -> None:
    rights = RIGHTS[min(version, len(RIGHTS)) - 1]
    net = BIND_AND_CONNECT if version >= 4 else 0  # noqa: PLR2004
    scope = ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0  # noqa: PLR2004
    size = 24 if scope else 16 if net else 8
    attributes = struct.pack("QQQ", rights, net, scope)
    ruleset = libc.syscall(CREATE_RULESET, attributes, size, 0)
    _check(ruleset, "Landlock")
    try:
        for place in (*SYSTEM, *libraries(), *reads):
            _allow(libc, ruleset, place, READ_FILE | READ_DIR)
        for place in {each or "." for each in sys.path}:
            _allow(libc, ruleset, place, READ_DIR)  # the import system lists the folder
        _allow(libc, ruleset, os.devnull, READ_FILE | WRITE_FILE | TRUNCATE & rights)
        _allow(libc, ruleset, folder, rights & ~(1 | IOCTL))
        _check(libc.syscall(RESTRICT_SELF, ruleset, 0), "Landlock")
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, place: str | os.PathLike[str], rights: int) -> None:
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # the path does not exist
        return
    try:
        if not os.path.isdir(place):
            rights &= OF_FILES
        if rights:
            rule = struct.pack("=Qi", rights, opened)
            _check(libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0), f"{place}")
    finally:
        os.close(opened)


def _restrict_calls(libc: ctypes.CDLL) -> None:
    program = b"".join(_program(*ARCHITECTURES[platform.machine()]))
    instructions = ctypes.create_string_buffer(program, len(program))
    filtered = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filtered, 0, 0), "seccomp")


def _program(architecture: int, column: int) -> Iterator[bytes]:
    yield _step(LOAD, ARCHITECTURE_AT)
    yield _step(EQUAL, architecture, 1, 0)
    yield _deny()
    yield _step(LOAD, NUMBER_AT)
    yield _step(AT_LEAST, X32, 0, 1)
    yield _deny()
    for numbers in DENIED.values():
        yield from _if_number(numbers, column, [_deny()])
    yield from _if_number(CLONE3, column, [_deny(errno.ENOSYS)])  # glibc then uses clone
    is_thread = [
        _step(LOAD, FIRST_ARGUMENT_AT),
        _step(HAS_BITS, CLONE_THREAD, 1, 0),
        _deny(),
        _step(RETURN, ALLOW),
    ]
    yield from _if_number(CLONE, column, is_thread)
    own, allowed = os.getpid(), _step(RETURN, ALLOW)
    for numbers in KILLS:
        is_own = _if_argument(FIRST_ARGUMENT_AT, (own,), allowed, _deny())
        yield from _if_number(numbers, column, is_own)
    for numbers in OF_PROCESS.values():
        is_own = _if_argument(FIRST_ARGUMENT_AT, (0, own), allowed, _deny())
        yield from _if_number(numbers, column, is_own)
    owners = F_SETOWN, F_SETOWN_EX
    yield from _if_number(FCNTL, column, _if_argument(SECOND_ARGUMENT_AT, owners, _deny(), allowed))
    yield allowed


def _if_number(numbers: Sequence[int], column: int, then: Sequence[bytes]) -> Iterator[bytes]:
    number = numbers[column]
    if number >= 0:
        yield _step(EQUAL, number, 0, len(then))
        yield from then


def _if_argument(at: int, values: Sequence[int], then: bytes, otherwise: bytes) -> list[bytes]:
    """Return steps that end with ``then`` if an argument has one of the values."""
    last = len(values)
    tests = [_step(EQUAL, value, last - index, 0) for index, value in enumerate(values)]
    return [_step(LOAD, at), *tests, otherwise, then]


def _deny(error: int = errno.EPERM) -> bytes:
    return _step(RETURN, DENY | error)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _check(result: int, what: str) -> None:
    if result < 0:
        raise NoSandbox(f"{what}: {os.strerror(ctypes.get_errno())}")
