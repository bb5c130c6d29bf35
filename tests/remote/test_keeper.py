"""The keeper: fetchers that die are started again, and no more of them than is good."""

import errno
import os
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from dicomfs.remote import keeper
from dicomfs.remote.connection import Connection
from dicomfs.remote.wire import (
    ANSWER,
    REQUEST_SIZE,
    Outcome,
    RemoteStatus,
    Request,
    UrlStatus,
    Verb,
    decode_request,
    encode_answer,
)
from dicomfs.source.window import BLOCK
from tests.support.mounting import PATIENCE, until
from tests.support.servers import (
    WebServer,
    fetcher_of,
    has_ended,
    leave_machine,
    remotes,
    web_server,
)

# Of the child only the thread that forked goes on, and that is all it needs.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

DATA: Final = os.urandom(32 * BLOCK)
REPLACED: Final = "another process reads over the network now"
ENDED: Final = "the process that reads over the network has ended"

ExpectLog = Callable[[str], None]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_machine(monkeypatch, tmp_path)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server({"disc.iso": DATA}) as server:
        yield server


# -- a fetcher that dies ---------------------------------------------------------------


@pytest.mark.slow
def test_reads_go_on_when_the_fetcher_dies_and_only_they_are_asked_for_again(
    web: WebServer, expect_log: ExpectLog
) -> None:
    expect_log(REPLACED)
    places = [each * 3 * BLOCK for each in range(1, 9)]
    with remotes(web.url("disc.iso"), deadline=PATIENCE) as made:
        source = made.source(0)
        source.read_at(0, 10)
        web.asked.clear()
        web.may_answer.clear()
        with ThreadPoolExecutor(8) as threads:
            reads = [threads.submit(source.read_at, place, 9) for place in places]
            assert until(lambda: web.waiting == len(places))
            os.kill(fetcher_of(made.connection), signal.SIGKILL)
            assert until(lambda: web.waiting == 2 * len(places))
            web.may_answer.set()
            found = [read.result(PATIENCE) for read in reads]
        assert found == [DATA[place : place + 9] for place in places]
        assert source.read_at(31 * BLOCK, 10) == DATA[31 * BLOCK :][:10]

    asked = Counter(each.begin for each in web.asked)
    assert asked == {**dict.fromkeys(places, 2), 31 * BLOCK: 1}


@pytest.mark.slow
def test_a_fetcher_that_dies_while_nobody_reads_costs_no_request(
    web: WebServer, expect_log: ExpectLog
) -> None:
    expect_log(REPLACED)
    with remotes(web.url("disc.iso")) as made:
        before = fetcher_of(made.connection)
        os.kill(before, signal.SIGKILL)
        assert until(lambda: fetcher_of(made.connection) != before)
        web.asked.clear()

        assert made.source(0).read_at(BLOCK, 9) == DATA[BLOCK : BLOCK + 9]
        assert [each.begin for each in web.asked] == [BLOCK]


@pytest.mark.slow
def test_what_ends_two_fetchers_is_an_error_and_costs_no_other_read(
    web: WebServer, expect_log: ExpectLog
) -> None:
    expect_log(REPLACED)
    with remotes(web.url("disc.iso"), deadline=PATIENCE) as made:
        source = made.source(0)
        web.may_answer.clear()
        with ThreadPoolExecutor(1) as threads:
            read = threads.submit(source.read_at, BLOCK, 9)
            for times in (1, 2):
                assert until(lambda times=times: web.waiting == times)  # type: ignore[misc]
                os.kill(fetcher_of(made.connection), signal.SIGKILL)
            with pytest.raises(OSError, match="has ended"):
                read.result(PATIENCE)
        web.may_answer.set()
        assert source.read_at(5 * BLOCK, 9) == DATA[5 * BLOCK :][:9]


@pytest.mark.slow
def test_no_more_fetchers_are_started_than_the_bound_says(
    web: WebServer, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log(REPLACED)
    monkeypatch.setattr(keeper, "_MOST_STARTS", 2)
    monkeypatch.setattr(keeper, "_GAP", 0.0)
    with remotes(web.url("disc.iso"), deadline=0.5) as made:
        source = made.source(0)
        source.read_at(0, 9)
        os.kill(fetcher_of(made.connection), signal.SIGKILL)
        assert until(lambda: _reads(source.read_at, BLOCK))
        os.kill(fetcher_of(made.connection), signal.SIGKILL)

        with pytest.raises(OSError, match="in time"):
            source.read_at(9 * BLOCK, 9)
        children = Path(f"/proc/{made.connection.pid}/task").glob("*/children")
        assert [each.read_text() for each in children] == [""]


def _reads(read_at: Callable[[int, int], bytes], place: int) -> bool:
    try:
        return read_at(place, 9) == DATA[place : place + 9]
    except OSError:
        return False


@pytest.mark.parametrize(
    ("ages", "pause"),
    [
        ([], 0.0),
        ([0.0], 0.5),
        ([0.2], 0.3),
        ([5.0], 0.0),
        ([50.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 0.0),
        ([50.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], 550.0),
        ([601.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], 0.5),
    ],
)
def test_the_next_fetcher_starts_when_the_bound_allows_it(
    ages: list[float], pause: float
) -> None:
    now = time.monotonic()
    starts = deque((now - age for age in ages), maxlen=8)

    assert keeper._pause(starts) == pytest.approx(pause, abs=0.1)


@pytest.mark.slow
def test_a_fetcher_whose_machine_has_no_room_for_it_is_started_later(
    web: WebServer, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_log(REPLACED)
    room = iter((True, False, False, True))
    fork = os.fork

    def fork_if_there_is_room() -> int:
        # Only the keeper's own forks count: the first of all is that of the keeper.
        if os.getpid() != tests and not next(room):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    tests = os.getpid()
    monkeypatch.setattr(os, "fork", fork_if_there_is_room)
    monkeypatch.setattr(keeper, "_GAP", 0.01)
    with remotes(web.url("disc.iso")) as made:
        os.kill(fetcher_of(made.connection), signal.SIGKILL)
        assert made.source(0).read_at(BLOCK, 9) == DATA[BLOCK : BLOCK + 9]


# -- the keeper itself -----------------------------------------------------------------


@pytest.mark.slow
def test_a_fetcher_reads_on_when_its_keeper_dies_and_is_the_last(
    web: WebServer, expect_log: ExpectLog
) -> None:
    expect_log(ENDED)
    connection = keeper.start([web.url("disc.iso")], 5.0)
    fetcher = fetcher_of(connection)
    os.kill(connection.pid, signal.SIGKILL)
    os.waitpid(connection.pid, 0)
    found = connection.looked[0].found
    assert found is not None
    request = Request(Verb.READ, 0, b"", found.tag.encode(), 0, 9, 5000)

    assert connection.ask(request).result(PATIENCE) == DATA[:9]
    os.kill(fetcher, signal.SIGKILL)
    assert until(lambda: isinstance(_outcome(connection.ask(request)), OSError))
    connection.close()


def _outcome(answer: "Future[bytes]") -> BaseException | None:
    return answer.exception(PATIENCE)


@pytest.mark.slow
def test_a_fetcher_that_does_not_end_by_itself_is_ended(web: WebServer) -> None:
    connection = keeper.start([web.url("disc.iso")], 5.0)
    fetcher = fetcher_of(connection)
    os.kill(fetcher, signal.SIGSTOP)

    connection.close()

    assert until(lambda: has_ended(connection.pid))
    assert not Path(f"/proc/{fetcher}").exists()


@pytest.mark.slow
def test_signals_for_the_group_are_for_neither_keeper_nor_fetcher(
    web: WebServer,
) -> None:
    with remotes(web.url("disc.iso")) as made:
        pids = made.connection.pid, fetcher_of(made.connection)
        for pid in pids:
            assert os.getsid(pid) == made.connection.pid
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(pid, number)
        assert made.source(0).read_at(0, 10) == DATA[:10]
        assert fetcher_of(made.connection) == pids[1]


@pytest.mark.slow
def test_the_keeper_holds_nothing_but_its_line(web: WebServer, tmp_path: Path) -> None:
    inherited = os.open(tmp_path, os.O_RDONLY)
    try:
        with remotes(web.url("disc.iso")) as made:
            folder = Path(f"/proc/{made.connection.pid}/fd")
            fetcher_of(made.connection)
            assert until(lambda: len([*folder.iterdir()]) == 5)
            held = sorted(
                str(each.readlink()).partition(":[")[0] for each in folder.iterdir()
            )
    finally:
        os.close(inherited)

    assert held == ["/dev/null"] * 3 + ["anon_inode", "socket"]


# -- what the worker does with a new connection ----------------------------------------

ASKED: Final = Request(Verb.READ, 0, b"", b"", 0, 4, 60_000)


class Played:
    """The test plays the keeper, and all fetchers."""

    def __init__(self) -> None:
        line, self.line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours, self.stream = socket.socketpair()
        looked = [UrlStatus(Outcome.DONE, RemoteStatus(False))]
        self.connection = Connection(line, ours, looked, 5.0, 0)

    def replace(self) -> None:
        """Let the next fetcher come."""
        self.stream.close()
        ours, self.stream = socket.socketpair()
        socket.send_fds(self.line, [b"\0"], [ours.fileno()])
        ours.close()

    def hear(self) -> tuple[int, Request]:
        """Return the next request."""
        self.stream.settimeout(PATIENCE)
        head = self.stream.recv(REQUEST_SIZE, socket.MSG_WAITALL)
        number, request, *_ = decode_request(head)
        return number, request


@pytest.fixture
def played() -> Iterator[Played]:
    made = Played()
    yield made
    made.connection.close()
    made.stream.close()
    made.line.close()


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"\1", ANSWER.pack(77, 0, 4), ANSWER.pack(1, 99, 0), ANSWER.pack(1, 0, 3)],
    ids=["nothing", "cut", "not-asked", "outcome", "short"],
)
def test_another_fetcher_is_asked_for_what_nonsense_was_answered_to(
    played: Played, expect_log: ExpectLog, nonsense: bytes
) -> None:
    expect_log(REPLACED)
    waiting = played.connection.ask(ASKED)
    first = played.hear()
    played.stream.send(nonsense)
    played.replace()

    again = played.hear()

    assert again[0] == first[0]
    assert again[1].milliseconds <= first[1].milliseconds
    assert again[1]._replace(milliseconds=60_000) == ASKED
    played.stream.send(encode_answer(again[0], Outcome.DONE, b"1234"))
    assert waiting.result(PATIENCE) == b"1234"


def test_what_is_asked_between_two_fetchers_is_asked_of_the_next(
    played: Played, expect_log: ExpectLog
) -> None:
    expect_log(REPLACED)
    played.connection.ask(ASKED)
    played.stream.close()
    assert until(lambda: len(played.connection.descriptors) == 1)

    waiting = [played.connection.ask(ASKED) for _ in range(1100)]
    full = [each for each in waiting if each.done()]
    with pytest.raises(OSError, match="not back yet"):
        full[0].result()
    assert len(full) == 101
    played.replace()

    heard = [played.hear()[0] for _ in range(10)]
    assert heard == [*range(1, 11)]


def test_what_is_overdue_is_asked_of_no_other_fetcher(
    played: Played, expect_log: ExpectLog
) -> None:
    expect_log(REPLACED)
    late = played.connection.ask(ASKED._replace(milliseconds=0))
    waiting = played.connection.ask(ASKED)
    played.replace()

    number, _ = played.hear()
    with pytest.raises(OSError, match="has ended"):
        late.result(PATIENCE)
    assert number == 2
    assert not waiting.done()
