"""The filter of system calls, run by an interpreter of its own: on any processor."""

import errno
import mmap
import os
import re
import signal
import socket
import struct
import termios
from pathlib import Path
from typing import Final

import pytest

from dicomfs.sandbox import seccomp
from tests.support.mounting import lack

PID: Final = 4711
ALLOWED: Final = "allowed"
KILLED: Final = "killed"

# As the kernel calls them (linux/audit.h), and where Debian has their numbers.
ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS: Final = {
    "x86_64": ("x86_64-linux-gnu/asm/unistd_64.h", "asm/unistd_64.h"),
    "aarch64": ("asm-generic/unistd.h",),
}
I386: Final = 0x40000003
CLONE3: Final = 435

TABLES: Final = (
    seccomp._ALLOWED,
    seccomp._EXAMINED,
    seccomp._ALLOWED_IN_NETWORK,
    seccomp._EXAMINED_IN_NETWORK,
)

# What is wanted by nobody but an intruder.
DANGEROUS: Final = frozenset(
    """
    execve execveat fork vfork ptrace process_vm_readv process_vm_writev pidfd_open
    pidfd_getfd pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo kcmp
    socket connect bind listen accept accept4 sendmsg sendmmsg
    mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick
    mount_setattr setns unshare open_by_handle_at name_to_handle_at
    bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    io_setup io_submit add_key request_key keyctl kexec_load kexec_file_load init_module
    finit_module delete_module reboot swapon swapoff acct quotactl syslog iopl ioperm
    modify_ldt personality sethostname settimeofday clock_settime adjtimex
    open creat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod
    mknodat link linkat symlink symlinkat truncate ftruncate fallocate chmod fchmod
    fchmodat chown fchown lchown fchownat utimensat setxattr fsetxattr removexattr
    memfd_create memfd_secret shmget shmat msgget semget pkey_mprotect
    setuid setgid setresuid setresgid setgroups capset setrlimit seccomp
    landlock_create_ruleset landlock_restrict_self
""".split()  # noqa: SIM905 - a list of words
)


@pytest.fixture(params=ARCHITECTURES)
def processor(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def numbers(processor: str) -> dict[str, int]:
    """Return the numbers of the system calls, as the kernel's headers have them."""
    for header in HEADERS[processor]:
        path = Path("/usr/include") / header
        if path.exists():
            pattern = r"#define __NR(?:3264)?_(\w+)\s+(\d+)$"
            found = re.findall(pattern, path.read_text(), re.MULTILINE)
            # The generic header has some under the names that 32-bit machines use.
            renamed = {"fstatat": "newfstatat"} if processor == "aarch64" else {}
            return {renamed.get(name, name): int(number) for name, number in found}
    lack(f"needs the kernel's headers for {processor}")
    raise AssertionError


def verdict(
    processor: str,
    number: int,
    *arguments: int,
    architecture: int | None = None,
    network: bool = False,
) -> str:
    """Return what the filter says to a call: allowed, killed, or the name of an error.

    Runs it as the kernel does (seccomp_run_filters); as there, an argument that is not
    given is whatever the register holds.
    """
    if architecture is None:
        architecture = ARCHITECTURES[processor]
    registers = (*arguments, *[0xAAAA_AAAA_AAAA_AAAA] * (6 - len(arguments)))
    call = struct.pack("=iIQ6Q", number, architecture, 0, *registers)
    program = seccomp.program(processor, PID, network=network)
    steps = list(struct.iter_unpack("=HBBI", program))
    place, value = 0, 0
    while True:
        code, if_true, if_false, operand = steps[place]
        place += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (value,) = struct.unpack_from("=I", call, operand)
        elif code == 0x06:  # BPF_RET
            return _answer(operand)
        else:
            holds = {
                0x15: value == operand,  # BPF_JMP | BPF_JEQ
                0x35: value >= operand,  # BPF_JMP | BPF_JGE
                0x45: bool(value & operand),  # BPF_JMP | BPF_JSET
            }[code]
            place += if_true if holds else if_false


def _answer(action: int) -> str:
    if action >> 16 == 0x0005:
        return errno.errorcode[action & 0xFFFF]
    return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}[action]


def test_the_numbers_are_those_of_the_kernel(
    processor: str, numbers: dict[str, int]
) -> None:
    column = 1 + list(ARCHITECTURES).index(processor)
    tables = " ".join(TABLES).split()
    ours = {row.split(":")[0]: row.split(":")[column] for row in tables}

    assert ours == {name: str(numbers.get(name, "")) for name in ours}
    assert numbers["clone3" if processor == "x86_64" else "openat2"] in {CLONE3, 437}


def test_what_only_an_intruder_wants_is_refused(
    processor: str, numbers: dict[str, int]
) -> None:
    # aarch64 has none of the oldest.
    there = DANGEROUS & set(numbers)
    assert len(there) > 90

    said = {name: verdict(processor, numbers[name]) for name in there}

    assert said == dict.fromkeys(there, "EPERM")


# What who has the network is allowed besides; sockets only of some kinds.
OF_THE_NETWORK: Final = frozenset({"socket", "connect", "bind", "sendmsg", "sendmmsg"})


def test_with_the_network_no_more_of_that_is_allowed_than_connecting_takes(
    processor: str, numbers: dict[str, int]
) -> None:
    there = DANGEROUS & set(numbers)

    refused = {
        name
        for name in there
        if verdict(processor, numbers[name], network=True) == "EPERM"
    }

    assert refused == there - OF_THE_NETWORK | {"socket"}


def test_what_serving_takes_is_allowed(processor: str, numbers: dict[str, int]) -> None:
    for name in ("read", "pread64", "preadv2", "openat2", "futex", "epoll_ctl"):
        assert verdict(processor, numbers[name]) == ALLOWED


def test_calls_that_are_newer_than_the_filter_do_not_exist(processor: str) -> None:
    for number in (451, 452, 462, 500, 1000, 0x3FFFFFFF):
        assert verdict(processor, number) == "ENOSYS"


def test_glibc_starts_threads_without_clone3(processor: str) -> None:
    assert verdict(processor, CLONE3) == "ENOSYS"


def test_calls_of_x32_are_refused(processor: str) -> None:
    for number in (0, 39, 59, 520, 0x3FFFFFFF):
        assert verdict(processor, 0x40000000 | number) == "EPERM"
        assert verdict(processor, -(1 << 31) | number) == "EPERM"


def test_calls_of_another_processor_end_the_process(processor: str) -> None:
    others = {I386, *ARCHITECTURES.values()} - {ARCHITECTURES[processor]}
    for architecture in others:
        assert verdict(processor, 0, architecture=architecture) == KILLED


def test_a_processor_that_is_not_known_has_no_filter() -> None:
    with pytest.raises(KeyError):
        seccomp.program("vax", PID)


# FS, VM, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, and the addresses of thread ids
THREAD: Final = 0x003D0F00
NEW_USER: Final = 0x10000000
READ_WRITE: Final = mmap.PROT_READ | mmap.PROT_WRITE
O_TMPFILE: Final = 0o20200000
CURRENT: Final = 0xFFFFFFFFFFFFFF9C  # AT_FDCWD
PR_SET_NAME: Final = 15
PR_SET_DUMPABLE: Final = 4
STREAM_CLOSING: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC

# A call, its arguments, and whether it is allowed.
EXAMINED: Final = [
    ("openat", (CURRENT, 1, os.O_RDONLY), True),
    ("openat", (3, 1, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY), True),
    ("openat", (3, 1, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW), True),
    ("openat", (3, 1, os.O_WRONLY), False),
    ("openat", (3, 1, os.O_RDWR), False),
    ("openat", (3, 1, os.O_RDONLY | os.O_CREAT), False),
    ("openat", (3, 1, os.O_RDONLY | os.O_TRUNC), False),
    ("openat", (3, 1, O_TMPFILE | os.O_RDWR), False),
    ("openat", (3, 1, 0xFFFFFFFF_00000000 | os.O_WRONLY), False),
    ("mmap", (0, 4096, READ_WRITE), True),
    ("mmap", (0, 4096, mmap.PROT_READ | mmap.PROT_EXEC), False),
    ("mprotect", (0, 4096, READ_WRITE), True),
    ("mprotect", (0, 4096, READ_WRITE | mmap.PROT_EXEC), False),
    ("clone", (THREAD,), True),
    ("clone", (signal.SIGCHLD,), False),
    ("clone", (0x4100 | signal.SIGCHLD,), False),  # VFORK and VM: posix_spawn
    ("clone", (THREAD | NEW_USER,), False),
    ("clone", (NEW_USER | signal.SIGCHLD,), False),
    ("kill", (PID, signal.SIGUSR1), True),
    ("kill", (PID + 1, signal.SIGUSR1), False),
    ("kill", (0, signal.SIGUSR1), False),
    ("kill", (0xFFFFFFFF, signal.SIGUSR1), False),  # -1: everybody
    ("tgkill", (PID, PID + 1, signal.SIGUSR1), True),
    ("tgkill", (PID + 1, PID + 1, signal.SIGUSR1), False),
    ("fcntl", (3, 1030, 0), True),  # F_DUPFD_CLOEXEC
    ("fcntl", (3, 1031, 4096), True),  # F_SETPIPE_SZ
    ("fcntl", (3, 8, 1), False),  # F_SETOWN: sends signals
    ("fcntl", (3, 1033, 0), False),  # F_ADD_SEALS
    ("ioctl", (3, termios.FIONBIO, 1), True),
    ("ioctl", (3, termios.TCGETS, 1), True),
    ("ioctl", (3, termios.TIOCSTI, 1), False),
    ("ioctl", (3, 0x541C, 1), False),  # TIOCLINUX: pastes
    ("prctl", (PR_SET_NAME, 1), True),
    ("prctl", (PR_SET_DUMPABLE, 1), False),
    ("prlimit64", (0, 3, 0, 1), True),
    ("prlimit64", (0, 3, 1, 0), False),
    ("prlimit64", (0, 3, 1 << 32, 0), False),
    ("sendto", (3, 1, 1, 0, 0, 0), True),
    ("sendto", (3, 1, 1, 0, 1, 16), False),
    ("sendto", (3, 1, 1, 0, 1 << 32, 16), False),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM, 0), True),
    ("socketpair", (socket.AF_UNIX, STREAM_CLOSING, 0), True),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0), True),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM, 0), False),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM | 0o2000000, 0), False),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_RAW, 0), False),
    ("socketpair", (socket.AF_INET, socket.SOCK_STREAM, 0), False),
]


# The same with the network.
IN_NETWORK: Final = [
    ("socket", (socket.AF_INET, STREAM_CLOSING, 0), True),
    ("socket", (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP), True),
    ("socket", (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP), True),
    ("socket", (16, socket.SOCK_RAW, 0), True),  # AF_NETLINK, NETLINK_ROUTE
    ("socket", (16, socket.SOCK_RAW, 12), False),  # NETLINK_NETFILTER
    ("socket", (socket.AF_UNIX, socket.SOCK_STREAM, 0), False),
    ("socket", (17, socket.SOCK_RAW, 0), False),  # AF_PACKET
    ("socket", (38, 5, 0), False),  # AF_ALG
    ("socket", (40, socket.SOCK_STREAM, 0), False),  # AF_VSOCK
    ("socket", (socket.AF_INET, socket.SOCK_RAW, 255), False),  # IPPROTO_RAW
    ("socket", (socket.AF_INET, socket.SOCK_STREAM, 262), False),  # IPPROTO_MPTCP
    ("sendto", (3, 1, 1, 0, 1, 16), True),
    ("socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM, 0), False),
    ("openat", (CURRENT, 1, os.O_WRONLY), False),
    ("clone", (signal.SIGCHLD,), False),
]


@pytest.mark.parametrize(("name", "arguments", "allowed"), IN_NETWORK)
def test_with_the_network_calls_are_allowed_for_what_connecting_takes(
    processor: str,
    numbers: dict[str, int],
    name: str,
    arguments: tuple[int, ...],
    allowed: bool,
) -> None:
    said = verdict(processor, numbers[name], *arguments, network=True)

    assert said == (ALLOWED if allowed else "EPERM")


@pytest.mark.parametrize(("name", "arguments", "allowed"), EXAMINED)
def test_some_calls_are_allowed_for_what_does_no_harm(
    processor: str,
    numbers: dict[str, int],
    name: str,
    arguments: tuple[int, ...],
    allowed: bool,
) -> None:
    said = verdict(processor, numbers[name], *arguments)

    assert said == (ALLOWED if allowed else "EPERM")


def test_no_call_is_examined_without_a_rule() -> None:
    tables = seccomp._EXAMINED + seccomp._EXAMINED_IN_NETWORK
    table = set(seccomp._numbers(tables, 1))
    examined = EXAMINED + IN_NETWORK

    assert table == set(seccomp._conditions(PID)) == {e[0] for e in examined}
    # Each of these rules lets something through.
    assert {e[0] for e in examined if e[2]} == table
