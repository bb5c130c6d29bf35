"""Which system calls a process may make: a seccomp filter, put together by hand.

What is on the list is what Python, trio, libfuse and glibc ask for once a mount is
being served; some of it only with arguments that do no harm. A second list is for who
has the network, the fetcher, and a third for who writes a copy. All else is refused with
EPERM. Calls that are newer than this list, and ``clone3``, whose flags a filter cannot
see, answer ENOSYS: then glibc does without. The numbers are those of the kernel's
``asm/unistd.h``.
"""

import errno
import fcntl
import mmap
import os
import socket
import struct
import termios
from collections.abc import Iterable
from typing import Final, NamedTuple

# A name, its number on x86_64, and on aarch64; some exist on the one alone.
_ALLOWED: Final = """
    read:0:63 readv:19:65 pread64:17:67 preadv:295:69 preadv2:327:286 lseek:8:62
    write:1:64 writev:20:66 splice:275:76 pipe2:293:59 close:3:57 close_range:436:436
    dup:32:23 dup2:33: dup3:292:24 stat:4: lstat:6: fstat:5:80 newfstatat:262:79
    statx:332:291 fstatfs:138:44 getdents64:217:61 getcwd:79:17 openat2:437:437
    fadvise64:221:223 readahead:187:213
    poll:7: ppoll:271:73 select:23: pselect6:270:72 epoll_create1:291:20
    epoll_ctl:233:21 epoll_wait:232: epoll_pwait:281:22 eventfd2:290:19
    recvfrom:45:207 recvmsg:47:212 shutdown:48:210 getsockname:51:204 getpeername:52:205
    setsockopt:54:208 getsockopt:55:209
    brk:12:214 munmap:11:215 mremap:25:216 madvise:28:233 membarrier:324:283
    futex:202:98 set_robust_list:273:99 rseq:334:293 set_tid_address:218:96
    rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 sigaltstack:131:132
    restart_syscall:219:128
    time:201: gettimeofday:96:169 clock_gettime:228:113 clock_getres:229:114
    clock_nanosleep:230:115 nanosleep:35:101 times:100:153 getrusage:98:165
    sched_yield:24:124 sched_getaffinity:204:123 getcpu:309:168 sysinfo:99:179
    uname:63:160 getrandom:318:278 getpid:39:172 getppid:110:173 gettid:186:178
    getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177
    wait4:61:260 exit:60:93 exit_group:231:94
"""
_EXAMINED: Final = """
    openat:257:56 mmap:9:222 mprotect:10:226 clone:56:220 kill:62:129 tgkill:234:131
    fcntl:72:25 ioctl:16:29 prctl:157:167 prlimit64:302:261 sendto:44:206
    socketpair:53:199
"""
_ALLOWED_IN_NETWORK: Final = """
    connect:42:203 bind:49:200 sendto:44:206 sendmsg:46:211 sendmmsg:307:269
    recvmmsg:299:243
    access:21: faccessat:269:48 faccessat2:439:439 readlink:89: readlinkat:267:78
"""
_EXAMINED_IN_NETWORK: Final = """
    socket:41:198
"""
# Where, Landlock says. What is opened may be opened to write.
_ALLOWED_TO_WRITERS: Final = """
    openat:257:56 mkdirat:258:34 unlinkat:263:35 linkat:265:37 renameat:264:38
    renameat2:316:276 utimensat:280:88 flock:73:32 syncfs:306:267
"""
_CLONE3: Final = 435
_NEWEST: Final = 450
# Calls of the x32 ABI have this bit, and the numbers of others.
_X32: Final = 0x40000000

# By what uname says: which number is the processor's in a table, and its AUDIT_ARCH.
_PROCESSORS: Final = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}

# The words of struct seccomp_data: the call, the processor, arguments of two words each.
_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16

_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_KILL: Final = 0x80000000
_ALLOW: Final = 0x7FFF0000
_ERROR: Final = 0x00050000

_O_TMPFILE: Final = 0o20000000
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | _O_TMPFILE
_CLONE_THREAD: Final = 0x00010000
# NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES: Final = 0x00020000 | 0x7E000000
_DESCRIPTOR_COMMANDS: Final = (
    fcntl.F_DUPFD,
    fcntl.F_DUPFD_CLOEXEC,
    fcntl.F_GETFD,
    fcntl.F_SETFD,
    fcntl.F_GETFL,
    fcntl.F_SETFL,
    1031,  # F_SETPIPE_SZ: libfuse
    1032,  # F_GETPIPE_SZ
)
# Not TIOCSTI: it types into the terminal that dicomfs was started from.
_DEVICE_COMMANDS: Final = (
    termios.FIONBIO,
    termios.FIOCLEX,
    termios.FIONCLEX,
    termios.TCGETS,
)
# PR_SET_NAME, PR_GET_NAME; PR_SET_VMA, by which glibc names its memory
_PROCESS_COMMANDS: Final = (15, 16, 0x53564D41)
# Not AF_UNIX, where the services of this machine have names. A pair of datagram sockets
# can send to those, too; other pairs cannot. Netlink says what addresses there are.
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
_PROTOCOLS: Final = (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)


class _Instruction(NamedTuple):
    """A step of classic BPF; of a comparison, how many to skip if it holds or not."""

    code: int
    if_true: int
    if_false: int
    value: int


def program(
    processor: str, pid: int, *, network: bool = False, writes: bool = False
) -> bytes:
    """Return the filter for process *pid* on a *processor*, as uname calls it.

    Raises KeyError for a processor whose calls are not known here.
    """
    column, architecture = _PROCESSORS[processor]
    allowed = _numbers(_ALLOWED, column)
    examined = _numbers(_EXAMINED, column)
    if network:
        allowed |= _numbers(_ALLOWED_IN_NETWORK, column)
        examined |= _numbers(_EXAMINED_IN_NETWORK, column)
    if writes:
        allowed |= _numbers(_ALLOWED_TO_WRITERS, column)
    steps = [
        _load(_ARCHITECTURE),
        *_unless(_EQUAL, architecture, [_return(_KILL)]),
        _load(_NUMBER),
        *_if(_AT_LEAST, _X32, [_refuse(errno.EPERM)]),
    ]
    for number in allowed.values():
        steps += _if(_EQUAL, number, [_return(_ALLOW)])
    conditions = _conditions(pid)
    for name, number in examined.items():
        steps += _if(_EQUAL, number, [*conditions[name], _return(_ALLOW)])
    steps += _if(_EQUAL, _CLONE3, [_refuse(errno.ENOSYS)])
    steps += _if(_AT_LEAST, _NEWEST + 1, [_refuse(errno.ENOSYS)])
    steps.append(_refuse(errno.EPERM))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _numbers(table: str, column: int) -> dict[str, int]:
    rows = [entry.split(":") for entry in table.split()]
    return {row[0]: int(row[column]) for row in rows if row[column]}


def _conditions(pid: int) -> dict[str, list[_Instruction]]:
    """Return what the arguments of a call have to be; else it is refused."""
    return {
        # openat2 has its flags in memory, where only Landlock sees them.
        "openat": _lacks(2, _WRITING),
        "mmap": _lacks(2, mmap.PROT_EXEC),
        "mprotect": _lacks(2, mmap.PROT_EXEC),
        "clone": _has(0, _CLONE_THREAD) + _lacks(0, _NAMESPACES),
        "kill": _is_one_of(0, [pid]),
        "tgkill": _is_one_of(0, [pid]),
        "fcntl": _is_one_of(1, _DESCRIPTOR_COMMANDS),
        "ioctl": _is_one_of(1, _DEVICE_COMMANDS),
        "prctl": _is_one_of(0, _PROCESS_COMMANDS),
        # Limits may be asked for, not set.
        "prlimit64": _is_null(2),
        # To the other end, and to no address.
        "sendto": _is_null(4),
        "socketpair": _is_one_of(0, [socket.AF_UNIX]) + _lacks(1, socket.SOCK_DGRAM),
        "socket": _is_one_of(0, _FAMILIES) + _is_one_of(2, _PROTOCOLS),
    }


# -- conditions: what comes next is done if they hold ----------------------------------


def _lacks(argument: int, bits: int) -> list[_Instruction]:
    refusal = [_refuse(errno.EPERM)]
    return [_load(_low(argument)), *_if(_ANY_BIT, bits, refusal)]


def _has(argument: int, bit: int) -> list[_Instruction]:
    refusal = [_refuse(errno.EPERM)]
    return [_load(_low(argument)), *_unless(_ANY_BIT, bit, refusal)]


def _is_one_of(argument: int, values: Iterable[int]) -> list[_Instruction]:
    steps = [_refuse(errno.EPERM)]
    for value in values:
        steps.insert(0, _Instruction(_EQUAL, len(steps), 0, value))
    return [_load(_low(argument)), *steps]


def _is_null(argument: int) -> list[_Instruction]:
    refusal = [_refuse(errno.EPERM)]
    low, high = _low(argument), _low(argument) + 4
    return [
        _load(low),
        *_unless(_EQUAL, 0, refusal),
        _load(high),
        *_unless(_EQUAL, 0, refusal),
    ]


def _low(argument: int) -> int:
    """Return where the lower half of an argument lies; the kernel reads ints there."""
    return _ARGUMENTS + 8 * argument


# -- steps -----------------------------------------------------------------------------


def _load(offset: int) -> _Instruction:
    return _Instruction(_LOAD, 0, 0, offset)


def _if(test: int, value: int, steps: list[_Instruction]) -> list[_Instruction]:
    return [_Instruction(test, 0, len(steps), value), *steps]


def _unless(test: int, value: int, steps: list[_Instruction]) -> list[_Instruction]:
    return [_Instruction(test, len(steps), 0, value), *steps]


def _return(action: int) -> _Instruction:
    return _Instruction(_RETURN, 0, 0, action)


def _refuse(error: int) -> _Instruction:
    return _return(_ERROR | error)
