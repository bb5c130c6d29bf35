"""The process that writes a copy believes nothing that could lead it elsewhere."""

import errno
import io
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from unittest.mock import ANY

import pytest

from dicomfs.copying import writer
from dicomfs.copying.wire import (
    COMPARED,
    FOLDER,
    LEFTOVER,
    LINKED,
    Answer,
    BrokenWireError,
    Entry,
    Speaker,
    Verb,
)
from dicomfs.copying.writer import PART, Writer, hold

MTIME: Final = 1_700_000_000 * 10**9


class Dialogue:
    """What is said to a writer below *root*, as a whole, and what it answers."""

    def __init__(self, root: Path, *, compares: bool = False) -> None:
        self._root = root
        self._compares = compares
        self._said = io.BytesIO()

    def say(self, verb: Verb, data: bytes = b"") -> "Dialogue":
        """Say a piece."""
        self._said.write(struct.pack("=BI", verb, len(data)) + data)
        return self

    def enter(self, name: bytes) -> "Dialogue":
        """Enter a folder."""
        return self.say(Verb.ENTER, entry(name, 0))

    def offer(
        self, name: bytes, size: int, mtime_ns: int = MTIME, link: int = 0
    ) -> "Dialogue":
        """Offer a file."""
        return self.say(Verb.OFFER, entry(name, size, mtime_ns, link))

    def file(self, number: int, data: bytes) -> "Dialogue":
        """Send a file."""
        self.say(Verb.BEGIN, struct.pack("=I", number)).say(Verb.DATA, data)
        return self.say(Verb.END)

    @property
    def said(self) -> bytes:
        """Return what is said."""
        return self._said.getvalue()

    def serve(self) -> list[list[Answer]]:
        """Let the writer hear all of it; return its answers."""
        heard, answered = os.pipe()
        root = os.open(self._root, os.O_RDONLY)
        self._said.seek(0)
        writer = Writer(root, compares=self._compares)
        try:
            writer.serve(self._said, answered)
        finally:
            os.close(answered)
            os.close(root)
            with os.fdopen(heard, "rb") as pipe:
                self.answers = [*decoded(pipe.read())]
        return self.answers


def entry(name: bytes, size: int, mtime_ns: int = MTIME, link: int = 0) -> bytes:
    return struct.pack("=QqQ", size, mtime_ns, link) + name


def in_two_folders(root: Path, *, size: int = 4, link: int = 7) -> Dialogue:
    """Return what is said of a file in one folder, and as an offer in another one."""
    said = Dialogue(root).enter(b"series").offer(b"1", 4, link=7).say(Verb.ASK)
    said.file(0, b"1234").say(Verb.LEAVE)
    return said.enter(b"chosen").offer(b"01", size, link=link).say(Verb.ASK)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_that_is_in_two_folders_is_linked(
    is_there: bool, tmp_path: Path
) -> None:
    if is_there:
        (tmp_path / "series").mkdir()
        (tmp_path / "series/1").write_bytes(b"1234")
        os.utime(tmp_path / "series/1", ns=(MTIME, MTIME))
        said = Dialogue(tmp_path).enter(b"series").offer(b"1", 4, link=7)
        said.say(Verb.ASK).say(Verb.LEAVE).enter(b"chosen")
        answers = said.offer(b"01", 4, link=7).say(Verb.ASK).serve()
    else:
        answers = in_two_folders(tmp_path).serve()

    assert [each.error for each in answers[-1]] == [LINKED]
    assert (tmp_path / "chosen/01").samefile(tmp_path / "series/1")


@pytest.mark.parametrize(("size", "link"), [(5, 7), (4, 8), (4, 0)])
def test_another_one_is_wanted(size: int, link: int, tmp_path: Path) -> None:
    answers = in_two_folders(tmp_path, size=size, link=link).serve()

    assert answers[-1] == []
    assert not (tmp_path / "chosen/01").exists()


def test_where_there_are_no_links_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links")

    monkeypatch.setattr("dicomfs.copying.writer.os.link", refuse)
    answers = in_two_folders(tmp_path).file(0, b"1234").serve()

    assert answers[-1] == []
    assert (tmp_path / "chosen/01").read_bytes() == b"1234"
    assert not (tmp_path / "chosen/01").samefile(tmp_path / "series/1")


def test_a_file_that_was_not_written_is_nothing_to_link_to(tmp_path: Path) -> None:
    said = Dialogue(tmp_path).enter(b"series").offer(b"1", 4, link=7).say(Verb.ASK)
    said.say(Verb.BEGIN, struct.pack("=I", 0)).say(Verb.DATA, b"12").say(Verb.BROKEN)
    said.say(Verb.LEAVE).enter(b"chosen")
    answers = said.offer(b"01", 4, link=7).say(Verb.ASK).serve()

    assert answers[-1] == []


def decoded(data: bytes) -> Iterator[list[Answer]]:
    at = 0
    while at < len(data):
        [count] = struct.unpack_from("=I", data, at)
        step = struct.Struct("=IiQ")
        begin, at = at + 4, at + 4 + count * step.size
        yield [Answer(*each) for each in step.iter_unpack(data[begin:at])]


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_file_is_written_with_its_time_and_is_as_private_as_in_a_mount(
    tmp_path: Path,
) -> None:
    said = Dialogue(tmp_path).enter(b"patient").offer(b"1.dcm", 4).say(Verb.ASK)
    said.file(0, b"DICM").say(Verb.LEAVE).say(Verb.SETTLE)

    assert said.serve() == [[], [], []]
    file = tmp_path / "patient/1.dcm"
    assert file.read_bytes() == b"DICM"
    for path, mode in ((file, 0o600), (file.parent, 0o700)):
        assert path.stat().st_mode & 0o777 == mode
        assert path.stat().st_mtime_ns == MTIME


@pytest.mark.parametrize(
    "name",
    [b"", b".", b"..", b"../out", b"/etc/passwd", b"a/b", b"a\0b", b"x" * 256],
)
@pytest.mark.parametrize("verb", [Verb.ENTER, Verb.OFFER])
def test_a_name_that_leads_elsewhere_ends_it(
    tmp_path: Path, verb: Verb, name: bytes
) -> None:
    with pytest.raises(BrokenWireError):
        Dialogue(tmp_path).say(verb, entry(name, 0)).serve()

    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "said",
    [
        struct.pack("=BI", 99, 0),
        struct.pack("=BI", Verb.DATA, 2**31),
        struct.pack("=BI", Verb.DATA, 4) + b"abc",
        struct.pack("=BI", Verb.DATA, 0),
        struct.pack("=BI", Verb.END, 0),
        struct.pack("=BI", Verb.BEGIN, 4) + bytes(4),
        struct.pack("=BI", Verb.BEGIN, 1) + bytes(1),
        struct.pack("=BI", Verb.LEAVE, 0),
        b"\1\2",
    ],
)
def test_what_cannot_be_said_ends_it(tmp_path: Path, said: bytes) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(BrokenWireError):
        Writer(root, compares=False).serve(io.BytesIO(said), 1)
    os.close(root)


@pytest.mark.parametrize("data", [b"too long", b"123"])
def test_a_file_of_another_size_than_was_said_leaves_nothing(
    tmp_path: Path, data: bytes
) -> None:
    said = Dialogue(tmp_path).offer(b"1.dcm", 4).say(Verb.ASK).file(0, data)

    with pytest.raises(BrokenWireError):
        said.serve()
    assert names(tmp_path) == []


def test_an_interrupted_file_leaves_nothing(tmp_path: Path) -> None:
    said = Dialogue(tmp_path).offer(b"1.dcm", 4).say(Verb.ASK)
    said.say(Verb.BEGIN, bytes(4)).say(Verb.DATA, b"DI").serve()

    assert names(tmp_path) == []


@pytest.mark.parametrize("verb", [Verb.LEAVE, Verb.ASK, Verb.SETTLE, Verb.BEGIN])
def test_nothing_else_is_said_within_a_file(tmp_path: Path, verb: Verb) -> None:
    said = Dialogue(tmp_path).enter(b"patient").offer(b"1.dcm", 4).say(Verb.ASK)
    said.say(Verb.BEGIN, bytes(4)).say(verb, bytes(4))

    with pytest.raises(BrokenWireError):
        said.serve()
    assert names(tmp_path) == ["patient"]


def test_what_a_killed_copy_has_left_is_removed_wherever_one_comes_and_told(
    tmp_path: Path,
) -> None:
    for folder in (tmp_path, tmp_path / "whole"):
        folder.mkdir(exist_ok=True)
        (folder / os.fsdecode(PART)).write_bytes(b"half a file")
    said = Dialogue(tmp_path).offer(b"1.dcm", 4).say(Verb.ASK).file(0, b"DICM")
    said.enter(b"whole").say(Verb.ASK).say(Verb.LEAVE)

    assert said.serve() == [[Answer(LEFTOVER, 0, 11)], [], [Answer(LEFTOVER, 0, 11)]]
    assert names(tmp_path) == ["1.dcm", "whole"]


def test_what_is_read_back_differently_is_not_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Dialogue(tmp_path).offer(b"1.dcm", 4).say(Verb.ASK)
    said.file(0, b"DICM").say(Verb.SETTLE)

    def read_wrongly(_: int, rooms: list[memoryview], __: int) -> int:
        rooms[0][:4] = b"DIRM"
        return 4

    monkeypatch.setattr(os, "preadv", read_wrongly)

    assert said.serve()[1] == [Answer(0, errno.EBADMSG)]
    assert names(tmp_path) == []


def test_a_file_of_several_pieces_is_compared_as_a_whole(tmp_path: Path) -> None:
    said = Dialogue(tmp_path, compares=True)
    for name, data in (("1.dcm", b"DICM...!"), ("2.dcm", b"DICM...?")):
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, ns=(MTIME, MTIME))
        said.offer(name.encode(), 8)
    said.say(Verb.ASK)
    for number in range(2):
        said.say(Verb.BEGIN, struct.pack("=I", number))
        said.say(Verb.DATA, b"DICM").say(Verb.DATA, b"...!").say(Verb.END)

    assert said.say(Verb.SETTLE).serve()[1] == [Answer(1, errno.EEXIST)]


def test_once_a_disk_is_full_no_file_is_tried_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Dialogue(tmp_path)
    for name in (b"1.dcm", b"2.dcm", b"3.dcm"):
        said.offer(name, 4)
    said.say(Verb.ASK)
    for number in range(3):
        said.file(number, b"DICM")
    tried = []
    write_all = writer._write_all

    def write(fd: int, data: bytes | memoryview) -> None:
        if isinstance(data, bytes):  # an answer
            write_all(fd, data)
            return
        tried.append(fd)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(writer, "_write_all", write)
    answers = said.say(Verb.SETTLE).serve()

    assert answers[1] == [Answer(number, errno.ENOSPC) for number in range(3)]
    assert len(tried) == 1
    assert names(tmp_path) == []


def test_a_folder_that_was_removed_meanwhile_is_not_a_file_that_is_missing(
    tmp_path: Path,
) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    heard, answered = os.pipe()
    said = Dialogue(tmp_path).enter(b"patient").offer(b"1.dcm", 4).say(Verb.ASK)
    whole = said.said + Dialogue(tmp_path).file(0, b"DICM").say(Verb.SETTLE).said
    pipe = Removing(whole, len(said.said), tmp_path / "patient")

    Writer(root, compares=False).serve(pipe, answered)

    for each in (root, answered):
        os.close(each)
    with os.fdopen(heard, "rb") as answers:
        assert [*decoded(answers.read())][2] == [Answer(0, errno.ESTALE)]


class Removing(io.BytesIO):
    """Says something, and removes *folder* before what comes behind the first *size*."""

    def __init__(self, said: bytes, size: int, folder: Path) -> None:
        super().__init__(said)
        self._size = size
        self._folder = folder

    def read(self, size: int | None = -1) -> bytes:
        """Read on."""
        if self.tell() == self._size:
            self._folder.rmdir()
        return super().read(size)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"")
    root = tmp_path / "copy"
    root.mkdir()
    (root / "patient").symlink_to(outside)
    (root / "1.dcm").symlink_to(outside / "file")
    (root / os.fsdecode(PART)).symlink_to(outside / "file")

    said = Dialogue(root).offer(b"1.dcm", 4).offer(b"2.dcm", 4).say(Verb.ASK)
    said.file(1, b"DICM").enter(b"patient").say(Verb.SETTLE)
    first, entered, settled = said.serve()

    assert first == [Answer(0, errno.EEXIST, 4), Answer(LEFTOVER, 0, ANY)]
    assert entered == [Answer(FOLDER, errno.ENOTDIR)]
    assert settled == []
    assert names(outside) == ["file"]
    assert (outside / "file").read_bytes() == b""


def test_what_is_there_already_is_told_by_size_and_time(tmp_path: Path) -> None:
    said = Dialogue(tmp_path)
    for number, (mtime, size) in enumerate(
        [(MTIME, 4), (MTIME + 1_900_000_000, 4), (MTIME + 2 * 10**9, 4), (MTIME, 5)]
    ):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(b"DICM!"[:size])
        os.utime(path, ns=(mtime, mtime))
        said.offer(f"{number}.dcm".encode(), 4)

    [answers] = said.say(Verb.ASK).serve()

    assert [each.error for each in answers] == [0, 0, COMPARED, errno.EEXIST]


def test_a_time_that_fat_does_not_know_is_its_first(tmp_path: Path) -> None:
    path = tmp_path / "1.dcm"
    path.write_bytes(b"DICM")
    os.utime(path, (315_532_800 + 7200, 315_532_800 + 7200))

    [answers] = Dialogue(tmp_path).offer(b"1.dcm", 4, 0).say(Verb.ASK).serve()

    assert answers == [Answer(0, 0, 4)]


def test_files_that_are_there_can_be_compared(tmp_path: Path) -> None:
    said = Dialogue(tmp_path, compares=True)
    for name, data in (("1.dcm", b"DICM"), ("2.dcm", b"DIRM")):
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, ns=(MTIME, MTIME))
        said.offer(name.encode(), 4)
    said.say(Verb.ASK).file(0, b"DICM").file(1, b"DICM").say(Verb.SETTLE)
    offered, settled = said.serve()

    assert [each.error for each in offered] == [COMPARED, COMPARED]
    assert settled == [Answer(1, errno.EEXIST)]
    assert (tmp_path / "2.dcm").read_bytes() == b"DIRM"


def test_a_full_disk_costs_the_file_and_is_told() -> None:
    # Not even root writes into it.
    said = Dialogue(Path("/proc/self")).offer(b"1.dcm", 1).say(Verb.ASK)
    said.file(0, b"x").say(Verb.SETTLE)

    _, settled = said.serve()

    assert settled[0].number == 0
    assert settled[0].error != 0


def test_a_folder_that_another_copy_writes_into_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "patient").mkdir()
    said = Dialogue(tmp_path).enter(b"patient").say(Verb.SETTLE)
    other = os.open(tmp_path / "patient", os.O_RDONLY)
    try:
        hold(other)
        entered, _ = said.serve()
    finally:
        os.close(other)

    assert entered == [Answer(FOLDER, errno.EBUSY)]
    assert list((tmp_path / "patient").iterdir()) == []


def test_folders_that_go_too_deep_end_it(tmp_path: Path) -> None:
    said = Dialogue(tmp_path)
    for _ in range(101):
        said.enter(b"d")

    with pytest.raises(BrokenWireError):
        said.serve()


def test_who_speaks_hears_that_nobody_listens() -> None:
    heard, to = os.pipe()
    answers, answered = os.pipe()
    os.close(heard)
    os.close(answered)
    speaker = Speaker(to, answers)

    with pytest.raises(BrokenPipeError):
        speaker.enter(Entry(b"patient", 0, 0))
    for each in (to, answers):
        with suppress(OSError):
            os.close(each)
