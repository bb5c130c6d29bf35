"""The worker's end: what it asks who paints, what it keeps, and what it makes of failures."""

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dicomfs.findings import Kind
from dicomfs.pictures import gallery as galleries
from dicomfs.pictures.excerpt import NOTHING
from dicomfs.pictures.gallery import Gallery
from dicomfs.pictures.studio import REFUSED
from dicomfs.pictures.wire import (
    MOST_PICTURE,
    Form,
    ProtocolError,
    Request,
    receive_request,
    send_picture,
)
from dicomfs.tree.selection import Instance
from dicomfs.tree.whose import has_own_time
from tests.build.medium import icon, leaf, patient, series, study, write_medium
from tests.build.pixels import corner
from tests.pictures.discs import pictured, write_disc
from tests.support.trees import opened, walk

Answer = Callable[[socket.socket, Request], None]


class Studio:
    """Somebody who hands out connections, and answers by a test's function."""

    def __init__(self) -> None:
        self.line, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.asked: list[Request] = []
        self.answer: Answer = self.paint
        self.refusals = 0
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while self._ours.recv(1):
            if self.refusals:
                self.refusals -= 1
                self._ours.send(REFUSED)
                continue
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    socket.send_fds(self._ours, [b"\0"], [theirs.fileno()])
                with suppress(ProtocolError, OSError):
                    self.asked.append(receive_request(ours))
                    self.answer(ours, self.asked[-1])
        self._ours.close()

    def paint(self, connection: socket.socket, request: Request) -> None:
        """Answer with the form."""
        send_picture(connection, request.form.name.encode())

    def end(self) -> None:
        """End, as who holds the line ends."""
        with suppress(OSError):
            self.line.shutdown(socket.SHUT_RDWR)
        self.line.close()
        self._thread.join()


@pytest.fixture
def studio() -> Iterator[Studio]:
    made = Studio()
    yield made
    made.end()


@pytest.fixture
def images(tmp_path: Path) -> Iterator[list[Instance]]:
    """Return three images."""
    with opened(write_disc(tmp_path, {n: corner(8) for n in (1, 2, 3)})) as tree:
        yield [node for _, node in walk(tree.root) if isinstance(node, Instance)]


def test_a_picture_is_asked_for_once_and_kept(
    studio: Studio, images: list[Instance]
) -> None:
    gallery = Gallery(studio.line)
    assert gallery.kept(images[0], Form.NORMAL) is None

    for _ in range(3):
        assert gallery.picture(images[0], Form.NORMAL) == b"NORMAL"
    assert gallery.picture(images[0], Form.LARGE) == b"LARGE"

    assert [each.form for each in studio.asked] == [Form.NORMAL, Form.LARGE]
    assert studio.asked[0].excerpt.pixels == corner(8).tobytes()
    assert gallery.kept(images[0], Form.NORMAL) == b"NORMAL"


def test_what_is_kept_is_bounded(
    studio: Studio, images: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galleries, "_MOST_KEPT", 1200)
    gallery = Gallery(studio.line)

    for each in images:
        gallery.picture(each, Form.NORMAL)

    kept = [gallery.kept(each, Form.NORMAL) is not None for each in images]
    assert kept == [False, True, True]


def _nothing(connection: socket.socket, request: Request) -> None:
    del request
    send_picture(connection, b"")


def _end(connection: socket.socket, request: Request) -> None:
    del connection, request


def _too_much(connection: socket.socket, request: Request) -> None:
    del request
    connection.sendall((MOST_PICTURE + 1).to_bytes(4, "little"))


def _half(connection: socket.socket, request: Request) -> None:
    del request
    connection.sendall(b"\x09\x00\x00\x00half")


def test_an_image_without_a_picture_is_not_painted_again(
    studio: Studio, images: list[Instance]
) -> None:
    studio.answer = _nothing
    gallery = Gallery(studio.line)

    for _ in range(3):
        assert gallery.picture(images[0], Form.NORMAL) == b""

    assert len(studio.asked) == 1


@pytest.mark.parametrize("answer", [_end, _too_much, _half])
def test_an_image_that_ends_who_paints_is_tried_twice(
    studio: Studio, images: list[Instance], answer: Answer
) -> None:
    studio.answer = answer
    gallery = Gallery(studio.line)

    with pytest.raises(BlockingIOError):
        gallery.picture(images[0], Form.NORMAL)
    for _ in range(3):
        assert gallery.picture(images[0], Form.NORMAL) == b""

    assert len(studio.asked) == 2
    studio.answer = studio.paint
    assert gallery.picture(images[1], Form.NORMAL) == b"NORMAL"


def test_who_paints_and_ends_at_once_is_followed_by_another(
    images: list[Instance],
) -> None:
    line, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def hand_out() -> None:
        for number in range(2):
            ours.recv(1)
            mine, theirs = socket.socketpair()
            with mine:
                with theirs:
                    socket.send_fds(ours, [b"\0"], [theirs.fileno()])
                if number:
                    receive_request(mine)
                    send_picture(mine, b"picture")

    with line, ours:
        worker = threading.Thread(target=hand_out)
        worker.start()
        # The first one was handed out for somebody who gave up.
        with suppress(BlockingIOError):
            assert Gallery(line).picture(images[0], Form.NORMAL) == b"picture"
        ours.shutdown(socket.SHUT_RDWR)
        worker.join()


def test_without_anybody_to_paint_there_is_no_picture_now(
    studio: Studio, images: list[Instance]
) -> None:
    with studio.line.dup() as line:
        gallery = Gallery(line)
        studio.end()

        for _ in range(2):
            with pytest.raises(BlockingIOError) as raised:
                gallery.picture(images[0], Form.NORMAL)
            assert raised.value.errno == errno.EAGAIN
        assert gallery.kept(images[0], Form.NORMAL) is None
    told = [each.kind for each in images[0].file_set.findings.all()]
    assert told == [Kind.PICTURES_GIVEN_UP]


@pytest.mark.parametrize("form", [Form.NORMAL, Form.PREVIEW])
def test_while_pictures_are_given_up_that_is_said_and_then_there_are_some(
    studio: Studio, images: list[Instance], form: Form
) -> None:
    gallery = Gallery(studio.line)
    studio.refusals = 2

    for each in images[:2]:
        with pytest.raises(BlockingIOError):
            gallery.picture(each, form)

    told = [each.kind for each in images[0].file_set.findings.all()]
    assert told == [Kind.PICTURES_GIVEN_UP]
    assert gallery.picture(images[0], form) == form.name.encode()


def test_an_image_that_cannot_be_read_is_read_again_later(
    studio: Studio, images: list[Instance], tmp_path: Path
) -> None:
    gallery = Gallery(studio.line)
    for each in (tmp_path / "IMAGES").iterdir():
        each.rename(each.with_suffix(".away"))

    with pytest.raises(FileNotFoundError):
        gallery.picture(images[0], Form.NORMAL)
    for each in (tmp_path / "IMAGES").iterdir():
        each.rename(each.with_suffix(""))

    assert gallery.picture(images[0], Form.NORMAL) == b"NORMAL"


def test_a_preview_of_what_has_no_pixels_is_asked_for_all_the_same(
    studio: Studio, tmp_path: Path
) -> None:
    lungs = series("1.2.3", [leaf("SR DOCUMENT", "1.2.3.1")])
    write_medium(tmp_path, [patient("Doe", "1", [study("1.2", [lungs])])])
    with opened(tmp_path) as tree:
        *_, (_, file) = walk(tree.root)
        assert isinstance(file, Instance)
        gallery = Gallery(studio.line)

        assert gallery.picture(file, Form.NORMAL) == b""
        assert gallery.preview(file) == b"PREVIEW"

    assert [each.excerpt for each in studio.asked] == [NOTHING]


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("undefined", [True, False])
def test_an_icon_is_taken_where_there_is_one_and_the_image_is_not_read(
    studio: Studio, tmp_path: Path, explicit: bool, undefined: bool
) -> None:
    one = pictured("1.2.3.1", corner(64))
    one["IconImageSequence"] = icon(8)
    lungs = series("1.2.3", [one])
    doe = patient("Doe^Jane", "12345", [study("1.2", [lungs])])
    write_medium(
        tmp_path,
        [doe],
        explicit=explicit,
        undefined_sequences=undefined,
        undefined_items=undefined,
    )
    with opened(tmp_path) as tree:
        *_, (_, file) = walk(tree.root)
        assert isinstance(file, Instance)
        [path] = (tmp_path / "IMAGES").iterdir()
        path.rename(tmp_path / "away")

        assert Gallery(studio.line).picture(file, Form.NORMAL) == b"NORMAL"
        with pytest.raises(FileNotFoundError):
            Gallery(studio.line).picture(file, Form.LARGE)

    [asked] = studio.asked
    assert asked.excerpt.pixels == bytes(64)


def test_what_is_missing_has_no_picture_though_its_record_has_an_icon(
    studio: Studio, tmp_path: Path
) -> None:
    one = pictured("1.2.3.1", corner(64))
    one["IconImageSequence"] = icon(8)
    lungs = series("1.2.3", [one])
    write_medium(tmp_path, [patient("Doe", "1", [study("1.2", [lungs])])])
    [path] = (tmp_path / "IMAGES").iterdir()
    path.unlink()
    with opened(tmp_path) as tree:
        *_, (_, file) = walk(tree.root)
        assert isinstance(file, Instance)

        with pytest.raises(FileNotFoundError):
            Gallery(studio.line).picture(file, Form.NORMAL)
        # What it has is the time of its folder, which others may have, too.
        assert not has_own_time(file)

    assert studio.asked == []


def test_an_icon_that_is_none_costs_nothing(studio: Studio, tmp_path: Path) -> None:
    one = pictured("1.2.3.1", corner(64))
    one["IconImageSequence"] = [{"Rows": 8, "Columns": 8}]
    lungs = series("1.2.3", [one])
    doe = patient("Doe^Jane", "12345", [study("1.2", [lungs])])
    write_medium(tmp_path, [doe])
    with opened(tmp_path) as tree:
        *_, (_, file) = walk(tree.root)
        assert isinstance(file, Instance)
        assert Gallery(studio.line).picture(file, Form.NORMAL) == b"NORMAL"

    assert studio.asked[0].excerpt.pixels == corner(64).tobytes()
