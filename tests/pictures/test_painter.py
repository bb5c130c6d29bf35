"""The processes that paint: idle until they are wanted, and bounded whatever an image does."""

import ctypes
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from dicomfs.pictures import decoding, painter, studio
from dicomfs.pictures.excerpt import Excerpt, excerpt
from dicomfs.pictures.wire import (
    Form,
    ProtocolError,
    Request,
    receive_picture,
    send_request,
)
from dicomfs.source.source import BytesSource
from tests.build.pixels import corner, instance
from tests.support.mounting import name_of, need_root, parents, until

pytestmark = [
    pytest.mark.slow,
    # Of the child only the thread that forked goes on, and that is all it needs.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

PATIENCE: Final = 20.0
PICTURE: Final = Request(
    Form.NORMAL, excerpt(BytesSource(instance(corner(), PatientName="Doe")))
)


@contextmanager
def a_studio() -> Iterator[socket.socket]:
    """Have the line to a studio for a while."""
    line = studio.start()
    assert line is not None
    with line:
        line.settimeout(PATIENCE)
        yield line
    assert until(lambda: not processes())


@pytest.fixture
def line() -> Iterator[socket.socket]:
    with a_studio() as line:
        yield line


def processes() -> dict[str, list[int]]:
    """Return the processes of the studio, by what they are called."""
    found: dict[str, list[int]] = {}
    mine, above = {os.getpid()}, dict(parents())
    while True:
        more = {pid for pid, parent in above.items() if parent in mine} - mine
        if not more:
            break
        mine |= more
    for pid in mine:
        name = name_of(pid)
        if name.startswith("dicomfs-"):
            found.setdefault(name.removeprefix("dicomfs-"), []).append(pid)
    return found


def want(line: socket.socket) -> socket.socket:
    """Return the connection to a process that will paint one picture."""
    line.send(b"\0")
    _, [descriptor], _, _ = socket.recv_fds(line, 1, 1)
    connection = socket.socket(fileno=descriptor)
    connection.settimeout(PATIENCE)
    return connection


def painted(line: socket.socket, request: Request = PICTURE) -> bytes:
    """Return a picture, empty if there is none."""
    with want(line) as connection:
        send_request(connection, request)
        return receive_picture(connection)


def special(number: int) -> Request:
    """Return a request that a test can tell by the *number* of its frame."""
    return PICTURE._replace(excerpt=PICTURE.excerpt._replace(frame=number))


def test_a_picture_is_painted(line: socket.socket) -> None:
    assert painted(line).startswith(b"\x89PNG")


def test_nothing_is_loaded_before_a_picture_is_wanted(line: socket.socket) -> None:
    assert until(lambda: "studio" in processes())
    assert processes().keys() == {"studio"}

    painted(line)

    assert until(lambda: processes().keys() == {"studio", "painter"})


def test_a_painter_that_nobody_wants_ends_and_another_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(painter, "_IDLE", 0.1)
    with a_studio() as line:
        painted(line)
        assert until(lambda: processes().keys() == {"studio"})

        assert painted(line)


def test_a_painter_that_is_killed_is_followed_by_another(line: socket.socket) -> None:
    painted(line)

    os.kill(processes()["painter"][0], signal.SIGKILL)
    assert until(lambda: "painter" not in processes())

    assert painted(line)


def test_painters_that_end_again_and_again_are_followed_after_a_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paint, is_broken = painter.paint, tmp_path / "broken"
    is_broken.touch()

    def work(line: socket.socket) -> None:
        if is_broken.exists():
            os._exit(1)
        paint(line)

    def is_painted(line: socket.socket) -> bool:
        line.send(b"\0")
        said, descriptors, _, _ = socket.recv_fds(line, 1, 1)
        for each in descriptors:
            with socket.socket(fileno=each) as connection:
                send_request(connection, PICTURE)
                return receive_picture(connection) != b""
        assert said == studio.REFUSED
        return False

    monkeypatch.setattr(painter, "paint", work)
    monkeypatch.setattr(studio, "_REST", 0.2)
    with a_studio() as line:
        assert not is_painted(line)
        is_broken.unlink()

        assert until(lambda: is_painted(line))


def test_all_ends_with_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "decoded", _hang_at_7)
    with a_studio() as line:
        with want(line) as connection:
            send_request(connection, special(7))
            assert until(lambda: "brush" in processes())
        assert until(lambda: "painter" in processes())
    # Seen to where the studio is left.


# -- what an image may do --------------------------------------------------------------


def _crash_at_7(of: Excerpt, size: int) -> Image.Image:
    if of.frame == 7:
        ctypes.string_at(0)
    return Image.new("L", (size, size))


def _hang_at_7(of: Excerpt, size: int) -> Image.Image:
    while of.frame == 7:
        time.sleep(0.1)
    return Image.new("L", (size, size))


def _grow_at_7(of: Excerpt, size: int) -> Image.Image:
    hoard = []
    while of.frame == 7:
        hoard.append(np.ones(2**24))
    return Image.new("L", (size, size))


def _spin_at_7(of: Excerpt, size: int) -> Image.Image:
    while of.frame == 7:
        pass
    return Image.new("L", (size, size))


@pytest.mark.parametrize("misdeed", [_crash_at_7, _hang_at_7, _grow_at_7, _spin_at_7])
def test_what_an_image_does_costs_its_own_picture(
    monkeypatch: pytest.MonkeyPatch, misdeed: Any
) -> None:
    monkeypatch.setattr(decoding, "decoded", misdeed)
    monkeypatch.setattr(painter, "_PATIENCE", 1.0)
    with a_studio() as line:
        with suppress(ProtocolError, ConnectionError):  # the process has ended
            assert painted(line, special(7)) == b""

        assert painted(line)
        assert until(lambda: "brush" not in processes())


def test_a_process_that_nobody_asks_for_anything_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(painter, "_PATIENCE", 0.2)
    with a_studio() as line, want(line) as connection:
        assert connection.recv(1) == b""


def test_two_pictures_are_painted_at_a_time(line: socket.socket) -> None:
    with want(line), want(line):
        line.send(b"\0")

        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            socket.recv_fds(line, 1, 1)
        assert len(processes()["brush"]) == painter.MOST_AT_ONCE

    line.settimeout(PATIENCE)
    _, [descriptor], _, _ = socket.recv_fds(line, 1, 1)
    os.close(descriptor)


def test_a_bomb_is_no_picture(line: socket.socket) -> None:
    header = PICTURE.excerpt.header
    rows = b"\x28\x00\x10\x00US\x02\x00"
    at = header.index(rows) + len(rows)
    bomb = header[:at] + b"\xff\xff" + header[at + 2 :]

    for encapsulated in (False, True):
        of = PICTURE.excerpt._replace(header=bomb, encapsulated=encapsulated)
        assert painted(line, PICTURE._replace(excerpt=of)) == b""


# -- what it may do itself -------------------------------------------------------------


def _try_all_at_7(of: Excerpt, size: int) -> Image.Image:
    if of.frame == 7:
        forbidden: list[Callable[[], object]] = [
            lambda: os.open("/etc/passwd", os.O_RDONLY),
            lambda: os.open("/tmp/written", os.O_WRONLY | os.O_CREAT),
            lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
            os.fork,
            lambda: os.kill(os.getppid(), signal.SIGTERM),
            lambda: os.execv("/bin/true", ["true"]),
            lambda: resource.setrlimit(resource.RLIMIT_CPU, (100, 100)),
        ]
        for number, each in enumerate(forbidden):
            try:
                each()
            except OSError:
                continue
            except ValueError:  # not allowed to raise the limit
                continue
            return Image.new("L", (number + 1, 100))
        return Image.new("L", (100, 100))
    return Image.new("L", (size, size))


def test_who_paints_can_do_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "decoded", _try_all_at_7)
    with a_studio() as line:
        png = painted(line, special(7))

    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (100, 100)


def test_who_paints_holds_nothing_but_its_connection(line: socket.socket) -> None:
    def status_of_brush() -> str:
        [pid] = processes().get("brush") or [0]
        return Path(f"/proc/{pid}/status").read_text() if pid else ""

    with want(line):
        # It is handed out before it has given up its rights.
        assert until(lambda: "Seccomp:\t2" in status_of_brush())
        [pid] = processes()["brush"]
        status = status_of_brush()
        links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]

    assert sorted({each.partition(":")[0] for each in links}) == [os.devnull, "socket"]
    assert len([each for each in links if each.startswith("socket")]) == 1
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status


# -- without the libraries -------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "PIL", "pydicom"])
def test_without_a_library_nobody_paints(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert studio.can_paint()

    def without(wanted: str) -> ModuleSpec | None:
        return None if wanted == name else find_spec(wanted)

    monkeypatch.setattr(studio, "find_spec", without)

    assert not studio.can_paint()


def test_an_older_pydicom_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "pydicom/__init__.py"
    spec = ModuleSpec("pydicom", None, origin=str(old))
    monkeypatch.setattr(studio, "find_spec", lambda _: spec)

    assert not studio.can_paint()


def test_a_pydicom_that_is_closed_to_the_user_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need_root()
    tmp_path.joinpath("pydicom/pixels").mkdir(parents=True)
    tmp_path.chmod(0o700)
    spec = ModuleSpec("pydicom", None, origin=str(tmp_path / "pydicom/__init__.py"))
    monkeypatch.setattr(studio, "find_spec", lambda _: spec)
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            os._exit(studio.can_paint())
        finally:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
