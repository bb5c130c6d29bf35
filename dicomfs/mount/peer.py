"""Another process of a mount, held by a pidfd.

What is signalled is that process or nobody: a pid may be somebody else's by then.
"""

import os
import select
import signal
from contextlib import suppress
from typing import Final

from dicomfs.mount import forking

_ANY: Final = os.WEXITED | os.WNOHANG | forking.WALL


class Peer:
    """The process *pid*, which has to exist when this is made."""

    def __init__(self, pid: int) -> None:
        """Take hold of it; raises ProcessLookupError."""
        self._fd = os.pidfd_open(pid)

    def fileno(self) -> int:
        """Return what can be polled: it is ready once the process has ended."""
        return self._fd

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Whether the process ends within so many *seconds*."""
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    def send(self, number: signal.Signals) -> None:
        """Send it the signal *number*; one that has ended gets none."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)

    def exit_code(self) -> int | None:
        """Return how it ended, negative for a signal, and let its pid go.

        None if it goes on, is not a child of this process, or was asked before.
        """
        try:
            ended = os.waitid(os.P_PIDFD, self._fd, _ANY)
        except ChildProcessError:
            return None
        if ended is None:
            return None
        is_exit = ended.si_code == os.CLD_EXITED
        return ended.si_status if is_exit else -ended.si_status

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)
