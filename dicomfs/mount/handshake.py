"""The first words between the kernel and libfuse, in which we change two numbers.

The kernel reads ahead of programs, but has only so many such reads under way at once
for one mount: 12, unless the answer to its first request (FUSE_INIT) wants more. Twelve
reads that hang would then let no other one through until their deadline. libfuse leaves
that answer to file systems written in C, pyfuse3 has no way to it, and the other way,
``/sys/fs/fuse/connections``, is open to root alone. So libfuse is first given a socket
in place of the device, and what it answers there is sent on with our numbers in it.
"""

import os
import socket
import struct
from typing import Final

# Of one mount of an ordinary user; the kernel lowers it where there is little memory
# (max_user_bgreq). From the second number on it reads less far ahead.
_MAX_BACKGROUND: Final = 500
_CONGESTION_THRESHOLD: Final = 375

# struct fuse_out_header: length, error, number of the request.
_OUT_HEADER: Final = struct.Struct("=IiQ")
# Behind it struct fuse_init_out: major, minor, max_readahead, flags, and then these.
_LIMITS: Final = struct.Struct("=HH")
_LIMITS_AT: Final = _OUT_HEADER.size + 16
# The kernel wants room for the largest request that it may have.
_LONGEST: Final = 1024 * 1024 + 4096


class Handshake:
    """What lies between *device*, which it takes over, and libfuse, for one request.

    libfuse is to be given ``fd``. As soon as it has answered, and before it looks for
    another request, ``finish`` makes that the device itself.
    """

    def __init__(self, device: int) -> None:
        """Take the kernel's first request, which is there since it was mounted."""
        self._device = device
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.fd: int = theirs.detach()
        self._ours.send(os.read(device, _LONGEST))

    def finish(self) -> None:
        """Send the answer on to the kernel; raises BlockingIOError if there is none."""
        answer = self._ours.recv(_LONGEST, socket.MSG_DONTWAIT)
        os.write(self._device, with_limits(answer))
        os.dup2(self._device, self.fd, inheritable=False)
        os.close(self._device)
        self._ours.close()


def with_limits(answer: bytes) -> bytes:
    """Return an *answer* to FUSE_INIT with our numbers in it; a refusal as it is."""
    _, error, _ = _OUT_HEADER.unpack_from(answer)
    if error or len(answer) < _LIMITS_AT + _LIMITS.size:
        return answer
    limits = _LIMITS.pack(_MAX_BACKGROUND, _CONGESTION_THRESHOLD)
    return answer[:_LIMITS_AT] + limits + answer[_LIMITS_AT + len(limits) :]
