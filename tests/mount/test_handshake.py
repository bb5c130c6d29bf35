"""The handshake: libfuse's answer with our limits in it, then the device itself."""

import errno
import os
import socket
import struct
from typing import Final

import pytest

from dicomfs.mount.handshake import Handshake, with_limits

REQUEST: Final = b"what the kernel asks first"
# struct fuse_out_header and fuse_init_out: no limits, and whatever comes behind them.
HEADER: Final = struct.pack("=IiQ", 80, 0, 1)
VERSION: Final = struct.pack("=IIII", 7, 38, 131072, 0xFFFF)
REST: Final = bytes(range(60))
ANSWER: Final = HEADER + VERSION + struct.pack("=HH", 0, 0) + REST


def test_an_answer_gets_limits_and_keeps_the_rest() -> None:
    changed = with_limits(ANSWER)

    assert changed == HEADER + VERSION + struct.pack("=HH", 500, 375) + REST


@pytest.mark.parametrize(
    "answer",
    [struct.pack("=IiQ", 16, -errno.EPROTO, 1), ANSWER[:32], ANSWER[:34]],
    ids=["a refusal", "a short one", "half a limit"],
)
def test_an_answer_without_limits_is_sent_on_as_it_is(answer: bytes) -> None:
    assert with_limits(answer) == answer


def test_libfuse_talks_to_the_device_once_it_has_answered() -> None:
    kernel, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with kernel:
        kernel.send(REQUEST)
        handshake = Handshake(device.detach())
        asked = os.read(handshake.fd, 1000)
        os.write(handshake.fd, ANSWER)
        handshake.finish()

        answered = kernel.recv(1000)
        kernel.send(b"a later request")
        later = os.read(handshake.fd, 1000)
        os.write(handshake.fd, b"a later answer")
        os.close(handshake.fd)

        assert (asked, later) == (REQUEST, b"a later request")
        assert answered == with_limits(ANSWER)
        assert kernel.recv(1000) == b"a later answer"
        # The device was held by that descriptor alone: it is closed.
        assert kernel.recv(1000) == b""
