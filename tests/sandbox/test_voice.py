"""What a confined process says, and how it is heard."""

import io
import logging
import os
import select
from collections.abc import Iterator

import pytest

from dicomfs.sandbox import voice
from dicomfs.sandbox.voice import Ears, Kind, Log, Said, Voice, to_people
from tests.conftest import ExpectLog


class Screen(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        """Say whether it is one."""
        return self._is_terminal


class Pipe:
    """Both ends of a pipe, and what was heard."""

    def __init__(self, *, waits: bool = True) -> None:
        self.reader, self.writer = os.pipe()
        self.heard: list[Said] = []
        self.voice = Voice(self.writer, waits=waits)
        self.ears = Ears(self.reader, self.heard.append)
        self.done, self.end = os.pipe()

    def listen(self) -> list[Said]:
        """Return all that was said so far."""
        os.write(self.end, b"x")
        assert self.ears.until(self.done)
        return self.heard

    def close(self) -> None:
        """Close what is left."""
        self.ears.close()
        for each in (self.writer, self.done, self.end):
            os.close(each)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def test_what_is_said_is_heard_in_its_order_and_before_the_end(pipe: Pipe) -> None:
    pipe.voice.say(Kind.OUT, "one\n")
    pipe.voice.say(Kind.ERR, "two é山")
    pipe.voice.say(Kind.LOG, "three", logging.ERROR)

    assert pipe.listen() == [
        (Kind.OUT, 0, "one\n"),
        (Kind.ERR, 0, "two é山"),
        (Kind.LOG, logging.ERROR, "three"),
    ]


def test_names_that_are_no_text_are_heard_as_they_are(pipe: Pipe) -> None:
    pipe.voice.say(Kind.ERR, "no \udcff UTF-8")
    pipe.voice.say(Kind.ERR, "no \ud800 letter")

    assert [each.text for each in pipe.listen()] == ["no \udcff UTF-8", "no ? letter"]


@pytest.mark.parametrize("rubbish", [b"\x00" * 50, b"\x01\x00\xff\xff" + b"x" * 9])
def test_what_is_no_speech_ends_the_hearing(pipe: Pipe, rubbish: bytes) -> None:
    os.write(pipe.writer, rubbish)
    pipe.voice.say(Kind.OUT, "more")

    assert pipe.listen() == []
    with pytest.raises(BrokenPipeError):
        pipe.voice.say(Kind.OUT, "still more")


def test_who_listens_gives_up_in_time(pipe: Pipe) -> None:
    pipe.voice.say(Kind.OUT, "one")

    assert not pipe.ears.until(pipe.done, 0.01)
    assert len(pipe.heard) == 1


def test_a_flood_does_not_keep_the_end_from_being_seen(pipe: Pipe) -> None:
    os.write(pipe.end, b"x")

    def again(said: Said) -> None:
        pipe.heard.append(said)
        while select.select([], [pipe.writer], [], 0)[1]:
            pipe.voice.say(Kind.OUT, "x")

    ears = Ears(os.dup(pipe.reader), again)
    pipe.voice.say(Kind.OUT, "x")

    assert ears.until(pipe.done)
    ears.close()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_of_all_that_a_terminal_obeys_it_gets_one_thing(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    screen = Screen(is_terminal=is_terminal)
    monkeypatch.setattr("sys.stderr", screen)

    to_people(Said(Kind.ERR, 0, "\r\x1b[Kso far\x1b[2J\rpast\n"))

    clear = "\r\x1b[K" if is_terminal else "\\r\\x1b[K"
    assert screen.getvalue() == f"{clear}so far\\x1b[2J\\rpast\n"


def test_a_line_that_takes_the_place_of_another_fits_into_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(is_terminal=True)
    size = os.terminal_size((8, 24))
    monkeypatch.setattr(screen, "fileno", lambda: 2)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    monkeypatch.setattr("sys.stderr", screen)

    to_people(Said(Kind.ERR, 0, "all of this\n\r\x1b[Kmuch too long"))

    assert screen.getvalue() == "all of this\n\r\x1b[Kmuch to"


def test_what_is_logged_is_one_line(expect_log: ExpectLog) -> None:
    expect_log(r"^a\\nb\\x1b$")

    Log(1).take(Said(Kind.LOG, logging.WARNING, "a\nb\x1b"))


def test_no_more_is_logged_than_a_disk_has_room_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(voice, "_MOST_LINES", 3)
    now = 0.0
    log = Log(1, lambda: now)
    with caplog.at_level(logging.INFO):
        for _ in range(10):
            log.take(Said(Kind.LOG, logging.INFO, "line"))
        now = 61.0
        log.take(Said(Kind.LOG, logging.INFO, "the next"))

    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    assert said == [*["line"] * 3, "7 lines are left out here", "the next"]


def test_a_long_text_is_said_in_pieces_that_the_kernel_keeps_whole() -> None:
    text = 2000 * "a" + 2000 * "é" + 2000 * "山" + 2000 * "\U0001f600" + "\udcff"

    pieces = list(voice._pieces(text))

    assert all(0 < len(piece) <= select.PIPE_BUF - 4 for piece in pieces)
    said = [piece.decode("utf-8", "surrogateescape") for piece in pieces]
    assert "".join(said) == text
