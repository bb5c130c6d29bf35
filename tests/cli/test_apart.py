"""Commands that read media do so in a child process, which has no rights but to read."""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomfs.cli.apart import Child, apart
from dicomfs.cli.codes import Exit
from dicomfs.errors import Failure, Problem
from dicomfs.media.opening import open_source
from dicomfs.sandbox.confine import limit_computing
from dicomfs.sandbox.voice import Kind, Voice

# Of the child only the thread that forked goes on, and that is all it needs.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

Captured = pytest.CaptureFixture[str]


def test_what_is_done_apart_ends_as_it_says() -> None:
    assert apart(lambda _: 7) == 7


def test_it_is_done_in_another_process() -> None:
    here = os.getpid()

    assert apart(lambda _: int(os.getppid() == here)) == 1


def test_what_is_printed_is_printed_once(capfd: Captured) -> None:
    sys.stdout.write("before\n")

    assert apart(lambda _: sys.stdout.write("apart\n")) == len("apart\n")
    assert capfd.readouterr().out == "before\napart\n"


def test_what_is_printed_comes_whole_and_in_order(capfd: Captured) -> None:
    lines = [f"line {n} é 山" for n in range(20_000)]

    def work(_: Child) -> int:
        sys.stdout.write("\n".join(lines) + "\n")
        return 0

    assert apart(work) == 0
    assert capfd.readouterr().out.splitlines() == lines


# -- what a child does that is not itself any more -------------------------------------


def hostile(text: str) -> Callable[[Child], int]:
    def work(_: Child) -> int:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
        return 0

    return work


def test_nothing_that_it_says_gets_at_the_terminal(capfd: Captured) -> None:
    apart(hostile("a\x1b]0;title\x07 \x9b31m \u202e \u2800 \r\x1b[K b"))

    told = "a\\x1b]0;title\\x07 \\x9b31m \\u202e \\u2800 \\r\\x1b[K b\n"
    assert capfd.readouterr() == (told, told)


def test_json_stays_json(capfd: Captured) -> None:
    apart(hostile('"a\x9b \u202e \U000f0000"'), is_json=True)

    assert capfd.readouterr().out == '"a\\u009b \\u202e \\udb80\\udc00"\n'


def test_what_is_no_speech_at_all_is_not_heard(capfd: Captured) -> None:
    def work(child: Child) -> int:
        os.write(child._own[0], b"\xff" * 100)
        return 3

    assert apart(work) == 3
    assert capfd.readouterr() == ("", "")


def test_a_child_that_is_killed_is_told(capfd: Captured) -> None:
    def work(_: Child) -> int:
        sys.stdout.write("so far\n")
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with pytest.raises(Failure) as caught:
        apart(work)

    assert caught.value.problem is Problem.UNFORESEEN
    assert "SIGKILL" in str(caught.value.facts["reason"])
    assert capfd.readouterr().out == "so far\n"


def test_an_error_is_told_without_its_words(capfd: Captured) -> None:
    def work(_: Child) -> int:
        raise ZeroDivisionError("Doe^Jane")

    assert apart(work) == Exit.UNEXPECTED
    told = capfd.readouterr().err
    assert "ZeroDivisionError in test_apart.py" in told
    assert "Doe" not in told


@pytest.mark.slow
def test_one_that_computes_without_end_is_ended() -> None:
    def work(_: Child) -> int:
        limit_computing(1)
        while True:
            pass

    with pytest.raises(Failure) as caught:
        apart(work)

    assert caught.value.problem is Problem.TOO_MUCH_COMPUTING


@pytest.mark.slow
def test_one_that_takes_no_notice_of_that_is_ended_all_the_same() -> None:
    def work(_: Child) -> int:
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        limit_computing(1)
        while True:
            pass

    with pytest.raises(Failure):
        apart(work)


@pytest.mark.slow
@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_an_interrupt_ends_it_whatever_it_does(
    capfd: Captured, monkeypatch: pytest.MonkeyPatch, handler: signal.Handlers
) -> None:
    monkeypatch.setattr("dicomfs.cli.apart._LAST_WORDS", 0.2)
    here = os.getpid()

    def work(_: Child) -> int:
        signal.signal(signal.SIGTERM, handler)
        # To the thread that waits: a program that runs one command has no other.
        ctypes.CDLL(None).tgkill(here, here, signal.SIGINT)
        while True:
            time.sleep(1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert apart(work) == Exit.INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == "dicomfs: interrupted\n"


# -- what it has -----------------------------------------------------------------------


def confined(tmp_path: Path, look: Callable[[], object]) -> Callable[[Child], int]:
    """Return work that gives up its rights, and then prints what *look* returns."""
    (tmp_path / "medium").mkdir()

    def work(child: Child) -> int:
        child.confine_to([open_source(tmp_path / "medium")], scan=False)
        sys.stdout.write(f"{look()}\n")
        return 0

    return work


def descriptors() -> list[int]:
    found = []
    for each in range(1000):
        try:
            os.fstat(each)
        except OSError:
            continue
        found.append(each)
    return found


def test_it_has_no_descriptor_of_who_called_it(tmp_path: Path, capfd: Captured) -> None:
    held = os.open(__file__, os.O_RDONLY)
    os.set_inheritable(held, True)

    def look() -> tuple[int, bool]:
        # Three streams, the medium, and two pipes.
        return len(descriptors()), held in descriptors()

    work = confined(tmp_path, look)

    apart(work)
    os.close(held)

    assert capfd.readouterr().out == "(6, False)\n"


def test_it_has_neither_a_terminal_nor_a_file_that_grows(
    tmp_path: Path, capfd: Captured
) -> None:
    def look() -> tuple[bool, tuple[int, int], tuple[int, int]]:
        streams = {os.fstat(each).st_rdev for each in (0, 1, 2)}
        return (
            streams == {os.makedev(1, 3)},
            resource.getrlimit(resource.RLIMIT_FSIZE),
            resource.getrlimit(resource.RLIMIT_CORE),
        )

    apart(confined(tmp_path, look))

    assert capfd.readouterr().out == "(True, (0, 0), (0, 0))\n"
    assert apart(lambda _: int(os.getsid(0) == os.getpid())) == 1


def test_of_the_environment_it_has_what_it_needs(
    tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("SECRET_TOKEN", "xyzzy")
    monkeypatch.setenv("DICOMFS_COMMAND", "scripts/dicomfs")

    def look() -> list[str]:
        tried = {"TZ", "SECRET_TOKEN", "HOME", "DICOMFS_COMMAND"}
        return sorted(tried & os.environ.keys())

    apart(confined(tmp_path, look))

    assert capfd.readouterr().out == "['DICOMFS_COMMAND', 'TZ']\n"


# -- the pipe --------------------------------------------------------------------------


def test_who_does_not_wait_loses_what_finds_no_room() -> None:
    reader, writer = os.pipe()
    voice = Voice(writer, waits=False)

    for _ in range(100):
        voice.say(Kind.LOG, "x" * 1000)

    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert len(pipe.read()) % 1004 == 0
