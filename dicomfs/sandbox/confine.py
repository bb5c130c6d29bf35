"""Giving up rights: what is left to a process that parses what others have made.

The worker may read what lies beneath the medium, serve the descriptors that it holds,
and think about it. The fetcher may read a few files of the system, and has the network.
Who paints a picture has a connection, and who writes a copy the folder that it is for.
Whoever takes one of them over has no more than that: no other file, no program, no other
process.
"""

import ctypes
import errno
import os
import resource
import stat
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from dicomfs.sandbox import process, seccomp

# Virtual memory, of which each thread takes its stack whole.
_MEMORY: Final = 2 * 1024**3
_STACK: Final = 1024**2
_ARENAS: Final = 2

_M_ARENA_MAX: Final = -8
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

_CAPABILITY_VERSION: Final = 0x20080522
_CAP_DAC_OVERRIDE: Final = 1 << 1
_CAP_DAC_READ_SEARCH: Final = 1 << 2
_MAX_CAPABILITY: Final = 63

_SYS_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1

_SYS_LANDLOCK_CREATE_RULESET: Final = 444
_SYS_LANDLOCK_ADD_RULE: Final = 445
_SYS_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_CREATE_RULESET_VERSION: Final = 1
_LANDLOCK_RULE_PATH_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
# WRITE_FILE, REMOVE_FILE, MAKE_DIR, MAKE_REG, REFER
_WRITE: Final = 1 << 1 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 13
# What Landlock can deny, by its version: rights to files (all up to MAKE_SYM, then
# REFER, TRUNCATE, IOCTL_DEV), to the network (BIND_TCP, CONNECT_TCP), and beyond the
# sandbox (ABSTRACT_UNIX_SOCKET, SIGNAL).
_DENIABLE: Final = {
    1: (0x1FFF, 0, 0),
    2: (0x3FFF, 0, 0),
    3: (0x7FFF, 0, 0),
    4: (0x7FFF, 0b11, 0),
    5: (0xFFFF, 0b11, 0),
    6: (0xFFFF, 0b11, 0b11),
}
_CONNECT_TCP: Final = 0b10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


class Rights(NamedTuple):
    """What is left to a process.

    *readable* are descriptors of files, and of folders to read beneath. If root is to
    read *of_others*, too, it keeps the capability for that. Beneath folders that are
    *writable* it may make files and folders, and root may in those of others, too. With
    the *network* it may connect to other machines, and resolve their names. One that
    *forks* others, which give up more, may make any system call.
    """

    readable: Sequence[int]
    of_others: bool = False
    writable: Sequence[int] = ()
    network: bool = False
    forks: bool = False


def restrict(rights: Rights) -> list[str]:
    """Leave this process nothing but its *rights*.

    To be called once everything is imported that will be needed, and before any thread
    is started: rights belong to threads. Returns what could not be given up, in words;
    the kernel lacks that, and the rest holds all the same.
    """
    steps: dict[str, Callable[[], None]] = {
        "protection against memory dumps": process.forbid_dumps,
        "a limit of memory": _limit_memory,
        "a limit of files": _limit_files,
        "the dropping of capabilities": lambda: _drop_capabilities(rights),
        "no-new-privileges": lambda: _prctl(_PR_SET_NO_NEW_PRIVS, 1),
        "Landlock": lambda: _deny(rights),
        "seccomp": lambda: _filter_system_calls(rights),
    }
    if rights.forks:
        del steps["seccomp"]
    if rights.writable:
        del steps["a limit of files"]
    return [
        f"{what}: {error.strerror}"
        for what, step in steps.items()
        if (error := _failure_of(step)) is not None
    ]


def _failure_of(step: Callable[[], None]) -> OSError | None:
    try:
        step()
    except OSError as error:
        return error
    return None


def _limit_files() -> None:
    """Let no file grow, whoever has opened it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limit_computing(seconds: int) -> None:
    """End this process once it has computed for so many *seconds*, waiting aside.

    A process that serves for weeks is no matter of that.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    limit = seconds if most == resource.RLIM_INFINITY else min(most, seconds)
    # Who is not himself any more does not end by SIGXCPU, but by the one behind it.
    behind = limit + 1 if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_CPU, (limit, behind))


def _limit_memory() -> None:
    """Limit virtual memory, and take less of it: stacks, and what malloc sets aside."""
    threading.stack_size(_STACK)
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, _ARENAS)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY if most == resource.RLIM_INFINITY else min(most, _MEMORY)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _drop_capabilities(rights: Rights) -> None:
    """Drop all rights of root but to files of others: media are mounted 0400."""
    try:
        for capability in range(_MAX_CAPABILITY + 1):
            _prctl(_PR_CAPBSET_DROP, capability)
    except OSError as error:
        # EINVAL: that was the last. EPERM: no rights to drop, or not that one.
        if error.errno not in {errno.EINVAL, errno.EPERM}:
            raise
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    try:
        _keep_capabilities(_kept(rights) if os.geteuid() == 0 else 0)
    except PermissionError:  # a container's root may not have it
        _keep_capabilities(0)


def _kept(rights: Rights) -> int:
    if rights.writable:
        return _CAP_DAC_OVERRIDE
    return _CAP_DAC_READ_SEARCH if rights.of_others else 0


def _keep_capabilities(kept: int) -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _check(_libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)))


def _deny(rights: Rights) -> None:
    """Deny what this kernel's Landlock can deny, but what the *rights* are."""
    version = _syscall(
        _SYS_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION
    )
    files, network, beyond = _DENIABLE[min(version, max(_DENIABLE))]
    if rights.network:
        network &= ~_CONNECT_TCP
    # An older kernel takes the zeros at the end for what it does not know.
    handled = struct.pack("=3Q", files, network, beyond)
    ruleset = _syscall(_SYS_LANDLOCK_CREATE_RULESET, handled, len(handled), 0)
    try:
        for each in (*rights.readable, *rights.writable):
            is_folder = stat.S_ISDIR(os.fstat(each).st_mode)
            allowed = _READ_FILE | _READ_DIR if is_folder else _READ_FILE
            if each in rights.writable:
                allowed |= _WRITE & files
            rule = struct.pack("=Qi", allowed, each)
            _syscall(
                _SYS_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0
            )
        _syscall(_SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _filter_system_calls(rights: Rights) -> None:
    processor = os.uname().machine
    if processor not in _SYS_SECCOMP or sys.maxsize <= 2**32:
        raise OSError(errno.ENOSYS, f"not made for this processor ({processor})")
    program = seccomp.program(
        processor,
        os.getpid(),
        network=rights.network,
        writes=bool(rights.writable),
    )
    steps = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many steps of eight bytes, and where they are
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(steps))
    _syscall(
        _SYS_SECCOMP[processor],
        _SECCOMP_SET_MODE_FILTER,
        _SECCOMP_FILTER_FLAG_TSYNC,
        filter_,
    )


def _prctl(option: int, first: int, second: int = 0) -> None:
    _check(_libc.prctl(option, first, second, 0, 0))


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    return _check(_libc.syscall(number, *arguments))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
