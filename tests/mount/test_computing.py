"""Work for a request that computes without end."""

import errno
import threading
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest
import trio

from dicomfs.mount import computing
from dicomfs.mount.threads import Threads


@pytest.fixture(autouse=True)
def glance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomfs.mount.threads._GLANCE", 0.02)


def run(main: Callable[[Threads], Awaitable[object]]) -> None:
    """Run *main* with threads of which each may compute for a tenth of a second."""

    async def with_threads() -> None:
        await main(Threads(2, 2, computing=0.1))

    trio.run(with_threads)


def forever() -> None:
    while True:
        pass


def test_work_that_computes_without_end_is_stopped_and_others_go_on() -> None:
    async def main(threads: Threads) -> None:
        for _ in range(4):
            with pytest.raises(OSError, match="too much computing") as caught:
                await threads.run(forever)
            assert caught.value.errno == errno.ETIMEDOUT
        assert await threads.run(lambda: 7) == 7

    run(main)


def test_a_request_may_compute_for_five_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = [0.0, 299.0, 299.9, 300.1]  # by the clock of its thread
    clock = SimpleNamespace(
        pthread_getcpuclockid=time.pthread_getcpuclockid,
        thread_time=lambda: shown.pop(0),
        clock_gettime=lambda _clock: shown.pop(0),
        sleep=time.sleep,
    )
    monkeypatch.setattr(computing, "time", clock)

    async def main() -> None:
        with pytest.raises(OSError, match="too much computing"):
            await Threads(2, 2).run(forever)

    trio.run(main)
    assert not shown


def test_it_is_stopped_though_nobody_waits_for_it_any_more() -> None:
    ended = threading.Event()

    def work() -> None:
        try:
            forever()
        finally:
            ended.set()

    async def main(threads: Threads) -> None:
        with trio.move_on_after(0.05):
            await threads.run(work)
        assert await trio.to_thread.run_sync(ended.wait, 10)

    run(main)


def test_work_that_waits_is_not_stopped() -> None:
    async def main(threads: Threads) -> None:
        assert await threads.run(lambda: threading.Event().wait(0.4)) is False

    run(main)


def test_what_others_raise_is_raised() -> None:
    def work() -> None:
        raise KeyError("x")

    async def main(threads: Threads) -> None:
        with pytest.raises(KeyError):
            await threads.run(work)

    run(main)


def test_who_is_stopped_at_the_very_end_is_stopped_before_it() -> None:
    bound = computing.Bound(0.0)

    def work() -> None:
        sum(range(10_000))
        bound.look()

    with pytest.raises(OSError, match="too much computing"):
        bound.run(work)
    assert bound._working == {}
