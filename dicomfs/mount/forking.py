"""A fork whose child wakes its parent when it ends.

A process that is stopped hears of nothing, but the kernel lets SIGCONT go on whoever
sends it. A child says when it is made which signal it ends with. ``os.fork`` has
SIGCHLD for that and no other, so here the system call is made with SIGCONT.
"""

import ctypes
import os
import signal
from typing import Final

# clone(2) by processor: its number, and which argument has the address of the thread ID.
_CLONE: Final = {"x86_64": (56, 3), "aarch64": (220, 4)}
# What the C library's fork wants: the child's thread ID is written to that address.
_CLONE_CHILD_SETTID: Final = 0x01000000
_CLONE_CHILD_CLEARTID: Final = 0x00200000
_PR_GET_TID_ADDRESS: Final = 40

# __WALL: wait for children whatever signal they end with.
WALL: Final = 0x40000000


def fork() -> int:
    """Do what ``os.fork`` does, but let the child end with SIGCONT instead of SIGCHLD.

    Who waits for it needs WALL. For a process of one thread. Raises OSError.
    """
    clone = _CLONE.get(os.uname().machine)
    if clone is None:
        return os.fork()
    number, place = clone
    python, libc = ctypes.pythonapi, ctypes.PyDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    thread_id = ctypes.c_void_p()
    libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(thread_id), 0, 0, 0)
    flags = _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID if thread_id.value else 0
    arguments = [ctypes.c_void_p(flags | signal.SIGCONT), *[ctypes.c_void_p()] * 4]
    arguments[place] = thread_id
    python.PyOS_BeforeFork()
    pid: int = libc.syscall(ctypes.c_long(number), *arguments)
    error = ctypes.get_errno()
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(error, os.strerror(error))
    return pid
