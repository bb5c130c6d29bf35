"""Doing something with media in a child process that has no rights but to read them.

Whoever takes it over by a medium that was made for it has no file, no network and no
terminal: what it says comes back over a pipe, and is shown here. A thread that waits for
a request in the kernel can often not even be killed, and a process does not end before
all its threads have. So once the child has said how it ends, nobody waits for it either.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from dicomfs.cli.codes import Exit
from dicomfs.cli.ending import ended
from dicomfs.cli.output import Relay
from dicomfs.cli.terminal import say
from dicomfs.errors import Failure, Problem
from dicomfs.sandbox import environment, process
from dicomfs.sandbox.voice import Ears, Kind, Said, Voice, to_people

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicomfs.fileset.aside import Job
    from dicomfs.media.opening import OpenedSource

# A child that does not hang has ended long before.
_SECONDS_TO_END: Final = 1.0
# It is to say that it was interrupted, and may not know any more how to.
_LAST_WORDS: Final = 3.0
# A shelf of a thousand discs takes less each.
_COMPUTING_PER_SOURCE: Final = 3600


class Child:
    """What the work in the child process has of it."""

    def __init__(self, own: Sequence[int]) -> None:
        self._own = own
        # Ends what was begun beside it.
        self.let_go: Callable[[], None] = lambda: None

    def confine_to(
        self,
        sources: "Sequence[OpenedSource]",
        *,
        scan: bool,
        jobs: "Mapping[str, Job] | None" = None,
    ) -> None:
        """Give up all rights but to read *sources*, which nobody has read yet.

        Where there are *jobs*, a second process may do them on files of theirs.
        """
        from dicomfs.fileset.confinement import confine_to
        from dicomfs.sandbox.confine import limit_computing

        limit_computing(_COMPUTING_PER_SOURCE * len(sources))
        own = [*self._own]
        if jobs:
            from dicomfs.fileset import aside

            own += aside.start(sources, jobs, scan=scan)
            self.let_go = aside.end
        for lacking in confine_to(sources, own, scan=scan):
            say(f"the sandbox lacks {lacking}")


def apart(
    work: Callable[[Child], int],
    *,
    is_json: bool = False,
    own: Sequence[int] = (),
    show: Callable[[str], bool] | None = None,
) -> int:
    """Do *work* in a child process; return what it returns, an exit code.

    It keeps descriptors of its *own* when it gives up its rights. It prints on our stdout,
    JSON or text, or *show* gets that and says whether it wants more; and on our stderr. It
    is interrupted when this process is, and ends with it. Raises Failure if stdout takes
    no more, and if the child ends in a way that is not its own.
    """
    show = show or Relay(is_json=is_json).show
    # The credentials are for children, and each of them takes its own away.
    environment.hide()
    voice, theirs = os.pipe()
    ending, end = os.pipe()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    parent = os.getpid()
    # One in between would find a child that nobody knows of.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    child = os.fork()
    if child == 0:
        _end_after(work, Voice(theirs, waits=True), [end, *own], parent)
    os.close(theirs)
    os.close(end)

    def hear(said: Said) -> None:
        if said.kind is Kind.ERR:
            to_people(said)
        elif said.kind is Kind.OUT and not show(said.text):
            ears.close()

    ears = Ears(voice, hear)
    try:
        return _heard(ears, ending, child)
    finally:
        ears.close()
        os.close(ending)
        _let_go(child)


def _heard(ears: Ears, ending: int, child: int) -> int:
    """Hear what *child* says; return its exit code, which it says in *ending*.

    If we are interrupted, so is it, and has a moment to say so.
    """
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        is_over = ears.until(ending)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        is_over = False
        with suppress(KeyboardInterrupt):
            is_over = ears.until(ending, _LAST_WORDS)
    if not is_over:
        say("interrupted")
        return Exit.INTERRUPTED
    if said := os.read(ending, 1):
        return said[0]
    raise _fallen(child)


def _fallen(child: int) -> Failure:
    """Return why *child* said nothing at its end."""
    if not _has_ended(child):  # it may have closed its pipes and gone on
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        seconds = used.ru_utime + used.ru_stime
        return Failure(Problem.TOO_MUCH_COMPUTING, seconds=round(seconds))
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Failure(Problem.UNFORESEEN, reason=f"the process that reads ended by {how}")


def _let_go(child: int) -> None:
    """Leave no process behind, but one that hangs in the kernel: that ends by itself."""
    with suppress(OSError):  # it was waited for already
        if not _has_ended(child):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, os.WNOHANG)


def _has_ended(child: int) -> bool:
    """Wait a moment for *child* to end; return whether it has."""
    pidfd = os.pidfd_open(child)
    try:
        return bool(select.select([pidfd], [], [], _SECONDS_TO_END)[0])
    finally:
        os.close(pidfd)


def _end_after(
    work: Callable[[Child], int], voice: Voice, own: Sequence[int], parent: int
) -> NoReturn:
    """Do *work* in the child, say in the first of its *own* what it returns, and end."""
    code = 1
    try:
        _settle(voice, parent)
        child = Child([voice.pipe, *own])
        code = ended(lambda: work(child))
        child.let_go()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
    finally:
        os.write(own[0], bytes([code]))
        os._exit(code)


def _settle(voice: Voice, parent: int) -> None:
    """Let go of the terminal and of the streams."""
    # The parent hears of Ctrl-C and passes it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    process.end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    voice.take_over()
    os.setsid()
    process.silence(process.open_null())
