"""The entrance: the next request is taken at once, and nobody has to wait for that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyfuse3
import pytest
import trio
import trio.testing

from dicomfs.mount.entrance import Entrance
from tests.build.medium import image, patient, series, study, write_medium
from tests.support.mounting import Mounter, need, need_root
from tests.support.tracing import traced

IMAGES: Final = 100
REQUESTS: Final = 1000


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Yield the ends of a pipe: what is written to the second is a request."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


async def take(entrance: Entrance, fd: int) -> None:
    """Wait for a request as pyfuse3 does, and read it."""
    async with entrance:
        await entrance.wait_readable(fd)
    os.read(fd, 1)


class Rounds(trio.abc.Instrument):
    """Counts the rounds of the event loop."""

    def __init__(self) -> None:
        self.count = 0

    def before_io_wait(self, timeout: float) -> None:
        """Count one."""
        del timeout
        self.count += 1


def rounds_for(requests: int, *, is_busy: bool) -> int:
    """Return how many rounds it takes to take requests that are there already."""
    rounds = Rounds()

    async def take_all(fd: int) -> None:
        entrance = Entrance(fd, lambda: is_busy)
        for _ in range(requests):
            await take(entrance, fd)

    with pipe() as (device, kernel):
        os.write(kernel, bytes(requests))
        trio.run(take_all, device, instruments=[rounds])
    return rounds.count


def test_one_request_after_the_other_is_taken_without_the_event_loop() -> None:
    assert rounds_for(REQUESTS, is_busy=False) < REQUESTS / 4


def test_while_a_request_is_being_answered_each_goes_through_the_event_loop() -> None:
    assert rounds_for(REQUESTS, is_busy=True) >= REQUESTS


def test_others_have_their_turn_while_requests_keep_coming() -> None:
    async def take_until_heard() -> int:
        heard = trio.Event()
        with pipe() as (device, kernel):
            os.write(kernel, bytes(REQUESTS))
            entrance = Entrance(device, lambda: False)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say, heard)
                taken = 0
                while not heard.is_set() and taken < REQUESTS:
                    await take(entrance, device)
                    taken += 1
        return taken

    async def say(heard: trio.Event) -> None:
        heard.set()

    assert trio.run(take_until_heard) < 50


def test_one_task_waits_at_a_time_and_each_request_is_taken_once() -> None:
    waiting = most = 0
    say, hear = trio.open_memory_channel[bytes](100)

    async def serve(entrance: Entrance, fd: int) -> None:
        nonlocal waiting, most
        while True:
            async with entrance:
                waiting += 1
                most = max(most, waiting)
                await entrance.wait_readable(fd)
                waiting -= 1
            # As one that waits for a thread.
            await say.send(os.read(fd, 1))

    async def ask() -> list[bytes]:
        with pipe() as (device, kernel):
            entrance = Entrance(device, lambda: False)
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(serve, entrance, device)
                taken = []
                for number in range(20):
                    os.write(kernel, bytes([number]))
                    taken.append(await hear.receive())
                nursery.cancel_scope.cancel()
        return taken

    assert trio.run(ask) == [bytes([number]) for number in range(20)]
    assert most == 1


def test_a_task_that_is_cancelled_makes_room() -> None:
    async def cancel_one() -> None:
        with pipe() as (device, kernel):
            entrance = Entrance(device, lambda: False)
            with trio.move_on_after(0):
                await take(entrance, device)
            os.write(kernel, b"x")
            with trio.fail_after(10):
                await take(entrance, device)

    trio.run(cancel_one)


def test_those_who_wait_hear_that_the_device_is_closed() -> None:
    async def close_it() -> None:
        with pipe() as (device, _):
            entrance = Entrance(device, lambda: False)

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await take(entrance, device)

            with trio.fail_after(10):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait)
                    nursery.start_soon(wait)
                    await trio.testing.wait_all_tasks_blocked()
                    trio.lowlevel.notify_closing(device)
                    await trio.testing.wait_all_tasks_blocked()
                    trio.lowlevel.notify_closing(device)

    trio.run(close_it)


def test_pyfuse3_waits_there_and_has_everything_else_of_trio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(vars(pyfuse3), "trio", trio)

    with pipe() as (device, _):
        entrance = Entrance(device, lambda: False)
        entrance.open()

        theirs = vars(pyfuse3)["trio"]
        assert theirs.Lock() is entrance
        assert theirs.lowlevel.wait_readable == entrance.wait_readable
        assert theirs.lowlevel.notify_closing is trio.lowlevel.notify_closing
        assert theirs.open_nursery is trio.open_nursery


@pytest.mark.mount
def test_a_mount_looks_for_the_next_request_before_it_leaves_that_to_the_event_loop(
    mount: Mounter, tmp_path: Path
) -> None:
    need("strace")
    need_root()
    images = [
        image(f"1.2.{number}", number=number, file=f"I{number}")
        for number in range(1, IMAGES + 1)
    ]
    medium = tmp_path / "medium"
    write_medium(
        medium, [patient("Doe^Jane", "1", [study("1.2", [series("1.3", images)])])]
    )
    made = mount(medium)
    files = made.files()

    with traced(made.worker, ("poll", "ppoll"), tmp_path / "trace") as looks:
        for file in files:
            file.read_bytes()

    assert len(files) == IMAGES
    assert len(looks) > IMAGES
