"""Remote media: objects and folders over HTTP and S3, by servers on loopback."""

import errno
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from dicomfs.media.iso.image import Iso
from dicomfs.remote.blocks import Blocks
from dicomfs.remote.medium import RemoteSource
from dicomfs.source.window import BLOCK, Window
from tests.support.mounting import PATIENCE, SAMPLES, need, run, until
from tests.support.servers import (
    MTIME,
    S3Server,
    WebServer,
    leave_machine,
    remotes,
    s3_server,
    web_server,
)
from tests.support.trees import Seen, files, folders_in, look, opened

# Of the child only the thread that forked goes on, and that is all it needs.
pytestmark = [
    pytest.mark.slow,  # each starts the process that fetches
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

MEBIBYTE: Final = 1024 * 1024
# No multiple of a block, and of no block a copy of another.
DATA: Final = random.Random(5).randbytes(5 * MEBIBYTE + 12_345)
OTHER: Final = random.Random(6).randbytes(len(DATA))

ExpectLog = Callable[[str], None]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_machine(monkeypatch, tmp_path)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server({"disc.iso": DATA, "empty": b""}) as server:
        yield server


@pytest.fixture
def source(web: WebServer) -> Iterator[RemoteSource]:
    with remotes(web.url("disc.iso")) as made:
        web.asked.clear()
        yield made.source(0)


# -- bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (0, 10),
        (BLOCK - 3, 6),
        (BLOCK, BLOCK),
        (100, 3 * MEBIBYTE),
        (0, len(DATA)),
        (len(DATA) - 5, 100),
        (len(DATA), 1),
        (len(DATA) + 5000, 10),
        (7, 0),
    ],
)
def test_an_object_gives_the_bytes_at_an_offset(
    source: RemoteSource, offset: int, size: int
) -> None:
    assert source.read_at(offset, size) == DATA[offset : offset + size]
    # From memory by now.
    buffer = bytearray(size)
    count = source.read_cached(offset, memoryview(buffer))
    assert count is not None
    assert buffer[:count] == DATA[offset : offset + size]


def test_an_object_has_the_size_and_the_time_that_the_server_says(
    source: RemoteSource,
) -> None:
    assert source.status == (len(DATA), MTIME * 10**9, 0)


def test_an_empty_object_is_read(web: WebServer) -> None:
    with remotes(web.url("empty")) as made:
        assert made.source(0).size == 0
        assert made.source(0).read_at(0, 10) == b""


def test_an_object_is_no_folder(web: WebServer) -> None:
    with remotes(web.url("disc.iso"), web.url("nothing")) as made:
        with pytest.raises(NotADirectoryError):
            made.folder(0)
        with pytest.raises(FileNotFoundError):
            made.source(1)


def test_sixteen_threads_read_the_bytes_of_the_object_within_little_memory(
    web: WebServer,
) -> None:
    with remotes(web.url("disc.iso"), most_kept=MEBIBYTE) as made:
        source = made.source(0)

        def read(seed: int) -> int:
            chance = random.Random(seed)
            wrong = 0
            for _ in range(25):
                offset = chance.randrange(len(DATA))
                size = int(10 ** chance.uniform(0, 5.5))
                wrong += source.read_at(offset, size) != DATA[offset : offset + size]
                assert made.blocks.size <= MEBIBYTE
            return wrong

        with ThreadPoolExecutor(16) as threads:
            assert sum(threads.map(read, range(16))) == 0


# -- requests --------------------------------------------------------------------------


def test_reading_in_order_fetches_each_byte_once_in_few_requests(
    web: WebServer, source: RemoteSource
) -> None:
    step = 128 * 1024
    got = [source.read_at(at, step) for at in range(0, len(DATA), step)]

    assert b"".join(got) == DATA
    assert web.bytes_sent == len(DATA)
    assert len(web.asked) <= 12


def test_reading_anywhere_fetches_no_more_than_the_blocks_that_are_read(
    web: WebServer, source: RemoteSource
) -> None:
    places = [40 * BLOCK + 5, 3 * BLOCK, 75 * BLOCK - 100, 20 * BLOCK]
    for place in places:
        source.read_at(place, 200)

    assert web.bytes_sent == 5 * BLOCK  # one of them lies in two
    assert len(web.asked) == 4


def test_a_header_costs_one_block_however_it_is_read(
    web: WebServer, source: RemoteSource
) -> None:
    for offset in (0, 128, 132, 32_768, 34_816, 512, 60_000):
        source.read_at(offset, 2048)
    # What might have been asked for besides was asked for before this.
    source.read_at(50 * BLOCK, 1)

    assert [each.begin for each in web.asked] == [0, 50 * BLOCK]


def test_two_files_that_are_read_in_order_in_turns_are_both_read_ahead(
    web: WebServer, source: RemoteSource
) -> None:
    half = 40 * BLOCK
    for at in range(0, half, BLOCK):
        assert source.read_at(at, BLOCK) == DATA[at : at + BLOCK]
        at += half
        assert source.read_at(at, BLOCK) == DATA[at : at + BLOCK]

    assert len(web.asked) <= 20
    assert web.bytes_sent <= len(DATA)


def test_reading_ahead_stays_within_its_window(
    web: WebServer, source: RemoteSource
) -> None:
    for at in range(0, 4 * BLOCK, BLOCK):
        source.read_at(at, BLOCK)

    assert until(lambda: max(each.end for each in web.asked) > 4 * BLOCK)
    assert max(each.end for each in web.asked) <= 8 * BLOCK


def test_a_block_that_many_want_at_once_is_fetched_once(
    web: WebServer, source: RemoteSource
) -> None:
    web.may_answer.clear()
    ready = threading.Barrier(17)

    def read(_: int) -> bytes:
        ready.wait()
        return source.read_at(100, 1000)

    with ThreadPoolExecutor(16) as threads:
        got = threads.map(read, range(16))
        ready.wait()
        web.may_answer.set()
        assert set(got) == {DATA[100:1100]}
    assert len(web.asked) == 1


def test_what_is_not_in_memory_is_not_given_from_there(
    web: WebServer, source: RemoteSource
) -> None:
    source.read_at(0, BLOCK)
    web.asked.clear()

    assert source.read_cached(0, memoryview(bytearray(BLOCK))) == BLOCK
    assert source.read_cached(0, memoryview(bytearray(BLOCK + 1))) is None
    assert web.asked == []


def test_walking_an_index_takes_few_requests(
    web: WebServer, source: RemoteSource
) -> None:
    window = Window(source)
    for at in range(0, MEBIBYTE, 500):
        assert window.read(at, 500) == DATA[at : at + 500]

    assert len(web.asked) <= 8


# -- versions --------------------------------------------------------------------------


def test_of_an_object_that_is_changed_nothing_more_is_read(
    web: WebServer, source: RemoteSource, expect_log: ExpectLog
) -> None:
    expect_log(r"failed: changed")
    source.read_at(0, BLOCK)
    web.objects["disc.iso"] = OTHER

    with pytest.raises(OSError, match="was changed"):
        source.read_at(20 * BLOCK, 10)
    # What it was is in memory.
    assert source.read_at(0, BLOCK) == DATA[:BLOCK]

    web.objects["disc.iso"] = DATA
    assert until(lambda: _reads(source, 20 * BLOCK))


@pytest.mark.parametrize("change", [len(DATA) - 1, 10 * BLOCK])
def test_without_validators_another_length_is_a_change(
    web: WebServer, expect_log: ExpectLog, change: int
) -> None:
    expect_log(r"failed: changed")
    web.has_validators = False
    with remotes(web.url("disc.iso")) as made:
        source = made.source(0)
        assert source.read_at(0, 10) == DATA[:10]
        assert source.status.mtime_ns == 0
        web.objects["disc.iso"] = DATA[:change]

        with pytest.raises(OSError, match="was changed"):
            source.read_at(20 * BLOCK, 10)


def test_bytes_of_two_versions_never_mix(web: WebServer, expect_log: ExpectLog) -> None:
    expect_log(r"failed: changed")
    with remotes(web.url("disc.iso"), most_kept=4 * BLOCK) as made:
        source = made.source(0)
        chance = random.Random(7)
        outcomes = []
        for _ in range(100):
            web.objects["disc.iso"] = chance.choice([DATA, OTHER])
            offset = chance.randrange(len(DATA))
            size = chance.choice([10, BLOCK, 10 * BLOCK])
            try:
                got = source.read_at(offset, size)
            except OSError:
                outcomes.append("refused")
            else:
                assert got == DATA[offset : offset + size]
                outcomes.append("read")
        assert set(outcomes) == {"refused", "read"}


# -- faults ----------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["503", "dropped", "cut"])
def test_a_passing_fault_is_not_seen(
    web: WebServer, source: RemoteSource, trouble: str
) -> None:
    web.trouble(trouble, 3)

    assert source.read_at(BLOCK, 100) == DATA[BLOCK : BLOCK + 100]
    assert len(web.asked) == 4


def test_a_lasting_fault_is_an_error_of_what_was_asked_for(
    web: WebServer, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log(r"failed: unreachable \(\w+\)")
    expect_log(r"answered again")
    with remotes(web.url("disc.iso"), deadline=2.0) as made:
        source = made.source(0)
        source.read_at(0, 10)
        web.trouble("503", 1000)
        with pytest.raises(OSError, match="did not answer"):
            source.read_at(10 * BLOCK, 10)
        assert until(lambda: "unreachable" in caplog.text)
        assert source.read_at(0, 10) == DATA[:10]
        web.trouble("503", 0)
        assert until(lambda: _reads(source, 10 * BLOCK))


def test_a_network_that_is_lost_during_a_copy_is_an_error_until_it_is_back(
    web: WebServer, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log(r"failed: unreachable \(\w+\)")
    expect_log(r"answered again")
    with remotes(web.url("disc.iso"), deadline=2.0) as made:
        source = made.source(0)
        for at in range(0, 8 * BLOCK, BLOCK):
            assert source.read_at(at, BLOCK) == DATA[at : at + BLOCK]
        web.close()
        with pytest.raises(OSError, match="did not answer"):
            source.read_at(60 * BLOCK, BLOCK)
        assert until(lambda: "unreachable" in caplog.text)
        web.open()
        assert until(lambda: _reads(source, 60 * BLOCK))
        for at in range(0, len(DATA), BLOCK):
            assert _reads(source, at)


def _reads(source: RemoteSource, offset: int) -> bool:
    """Whether the block at *offset* can be read; if so, it has to be the right one."""
    try:
        got = source.read_at(offset, BLOCK)
    except OSError:
        return False
    assert got == DATA[offset : offset + BLOCK]
    return True


def test_a_network_that_comes_back_in_time_is_not_seen(web: WebServer) -> None:
    with remotes(web.url("disc.iso"), deadline=30.0) as made:
        source = made.source(0)
        web.close()
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(source.read_at(0, 99)))
        reader.start()
        web.open()
        reader.join()
        assert got == [DATA[:99]]


def test_a_server_that_hangs_costs_its_deadline_and_nobody_else(
    web: WebServer, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log(r"failed: unreachable")
    with (
        web_server({"other.iso": OTHER}) as well,
        remotes(web.url("disc.iso"), well.url("other.iso"), deadline=2.0) as made,
    ):
        web.may_answer.clear()
        errors: list[OSError] = []

        def read(number: int) -> None:
            try:
                made.source(0).read_at(5 * number * BLOCK, 10)
            except OSError as error:
                errors.append(error)

        hung = [threading.Thread(target=read, args=(each,)) for each in range(8)]
        for thread in hung:
            thread.start()
        assert made.source(1).read_at(0, len(OTHER)) == OTHER
        for thread in hung:
            thread.join()
        assert len(errors) == 8
        assert until(lambda: "unreachable" in caplog.text)


# -- blocks, with answers at hand ------------------------------------------------------


class Slow:
    """An object whose bytes come when the test says so."""

    key = "slow"
    size = len(DATA)

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, Future[bytes]]] = []

    def fetch(self, offset: int, size: int, seconds: float) -> Future[bytes]:
        """Note what is asked for."""
        assert seconds > 0
        answer: Future[bytes] = Future()
        self.asked.append((offset, size, answer))
        return answer

    def answer(self, number: int) -> None:
        """Let the bytes come of request *number*, once it was made."""
        assert until(lambda: len(self.asked) > number)
        offset, size, answer = self.asked[number]
        answer.set_result(DATA[offset : offset + size])

    def fail(self, number: int) -> None:
        """Let request *number* fail, once it was made."""
        assert until(lambda: len(self.asked) > number)
        self.asked[number][2].set_exception(OSError(errno.EIO, "the test says so"))


def test_who_waits_for_the_request_of_another_asks_anew_if_that_fails() -> None:
    blocks, slow = Blocks(), Slow()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(blocks.read, slow, 0, 10, PATIENCE)
        assert until(lambda: len(slow.asked) == 1)
        # It wants that block, and the next one besides.
        second = threads.submit(blocks.read, slow, 0, BLOCK + 10, PATIENCE)
        slow.answer(1)
        slow.fail(0)
        # Between them is what is read ahead.
        slow.answer(3)
        with pytest.raises(OSError, match="the test says so"):
            first.result(PATIENCE)
        assert second.result(PATIENCE) == DATA[: BLOCK + 10]
    places = [(offset, size) for offset, size, _ in slow.asked]
    assert [*places[:2], places[3]] == [(0, BLOCK), (BLOCK, BLOCK), (0, BLOCK)]


def test_what_does_not_come_in_time_is_an_error_and_is_kept_when_it_comes() -> None:
    blocks, slow = Blocks(), Slow()
    with pytest.raises(TimeoutError):
        blocks.read(slow, 0, 10, 0.01)

    slow.answer(0)
    buffer = memoryview(bytearray(10))
    assert blocks.read_cached(slow, 0, buffer, PATIENCE)
    assert buffer == DATA[:10]


def test_a_block_that_took_long_to_fail_rests_for_a_moment() -> None:
    now = 0.0
    blocks, slow = Blocks(clock=lambda: now), Slow()
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(blocks.read, slow, 0, 3 * BLOCK, PATIENCE)
        assert until(lambda: len(slow.asked) == 1)
        now = 5.0
        slow.fail(0)
        with pytest.raises(OSError, match="the test says so"):
            read.result(PATIENCE)
        with pytest.raises(OSError, match="a moment ago"):
            blocks.read(slow, BLOCK, 10, PATIENCE)
        assert len(slow.asked) == 1
        now = 6.1
        read = threads.submit(blocks.read, slow, BLOCK, 10, PATIENCE)
        slow.answer(1)
        assert read.result(PATIENCE) == DATA[BLOCK : BLOCK + 10]


def test_a_block_that_fails_at_once_may_be_asked_for_at_once() -> None:
    blocks, slow = Blocks(clock=lambda: 0.0), Slow()
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(blocks.read, slow, 0, 10, PATIENCE)
        slow.fail(0)
        with pytest.raises(OSError, match="the test says so"):
            read.result(PATIENCE)
        read = threads.submit(blocks.read, slow, 0, 10, PATIENCE)
        slow.answer(1)
        assert read.result(PATIENCE) == DATA[:10]


def test_much_is_asked_for_in_several_requests_of_a_megabyte() -> None:
    blocks, slow = Blocks(), Slow()
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(blocks.read, slow, BLOCK - 1, 2 * MEBIBYTE, PATIENCE)
        for number in range(3):
            slow.answer(number)
        assert read.result(PATIENCE) == DATA[BLOCK - 1 : BLOCK - 1 + 2 * MEBIBYTE]
    assert [size for _, size, _ in slow.asked] == [MEBIBYTE, MEBIBYTE, BLOCK]


def test_reading_ahead_that_fails_is_nobodys_error() -> None:
    blocks, slow = Blocks(), Slow()
    with ThreadPoolExecutor(1) as threads:
        for number in range(2):
            read = threads.submit(blocks.read, slow, number * BLOCK, BLOCK, PATIENCE)
            slow.answer(number)
            read.result(PATIENCE)
        slow.fail(2)
        read = threads.submit(blocks.read, slow, 2 * BLOCK, 10, PATIENCE)
        slow.answer(3)
        assert read.result(PATIENCE) == DATA[2 * BLOCK : 2 * BLOCK + 10]


# -- images ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return an image of the sample medium."""
    need("xorriso")
    path = tmp_path_factory.mktemp("image") / "disc.iso"
    done = run(["xorriso", "-as", "mkisofs", "-R", "-o", str(path), str(SAMPLES)])
    assert done.returncode == 0, done.stderr
    return path.read_bytes()


def test_an_image_on_a_web_server_is_the_same_tree_as_the_folder(
    image: bytes, web: WebServer
) -> None:
    web.objects["disc.iso"] = image
    here = look(SAMPLES)
    with remotes(web.url("disc.iso")) as made:
        there = look(Iso(made.source(0)))

    assert len(files(here)) == 31
    assert _contents(there) == _contents(here)


def test_mounting_and_listing_an_image_takes_few_requests(
    image: bytes, web: WebServer
) -> None:
    web.objects["disc.iso"] = image
    with remotes(web.url("disc.iso")) as made, opened(Iso(made.source(0))) as tree:
        names = list(tree.root.children())

    assert len(names) == 2
    assert len(web.asked) <= 6
    assert web.bytes_sent <= 8 * BLOCK


def _contents(seen: Mapping[str, Seen]) -> dict[str, tuple[int, int, bytes]]:
    return {path: (each.size, each.error, each.data) for path, each in seen.items()}


# -- S3, and folders -------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.make("archive")
        server.put("archive", "discs/disc.iso", DATA)
        server.put_folder("archive", "cd", SAMPLES)
        server.put("archive", "secret", OTHER)
        yield server


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3


def test_an_object_in_a_bucket_is_read_by_many(bucket: S3Server) -> None:
    del bucket
    with remotes("s3://archive/discs/disc.iso") as made:
        source = made.source(0)
        assert source.size == len(DATA)
        assert source.status.mtime_ns > 0

        def read(seed: int) -> bool:
            offset = random.Random(seed).randrange(len(DATA))
            return source.read_at(offset, 9999) == DATA[offset : offset + 9999]

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(read, range(100)))


def test_of_an_object_in_a_bucket_that_is_changed_nothing_more_is_read(
    bucket: S3Server, expect_log: ExpectLog
) -> None:
    expect_log(r"failed: changed")
    bucket.put("archive", "changing", DATA)
    with remotes("s3://archive/changing") as made:
        source = made.source(0)
        assert source.read_at(0, 10) == DATA[:10]
        bucket.put("archive", "changing", OTHER)
        with pytest.raises(OSError, match="was changed"):
            source.read_at(20 * BLOCK, 10)


@pytest.fixture
def store(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteSource]:
    """Return an object of an S3 store that knows no conditions, and has troubles."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.url("").rstrip("/"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    web.objects["archive/disc.iso"] = DATA
    with remotes("s3://archive/disc.iso") as made:
        yield made.source(0)


@pytest.mark.parametrize("trouble", ["503", "dropped", "cut"])
def test_a_passing_fault_of_a_store_is_not_seen(
    web: WebServer, store: RemoteSource, trouble: str
) -> None:
    web.trouble(trouble, 2)

    assert store.read_at(BLOCK, 100) == DATA[BLOCK : BLOCK + 100]
    assert len(web.asked) == 3


def test_a_store_that_knows_no_conditions_mixes_no_versions(
    web: WebServer, store: RemoteSource, expect_log: ExpectLog
) -> None:
    expect_log(r"failed: changed")
    web.objects["archive/disc.iso"] = OTHER

    with pytest.raises(OSError, match="was changed"):
        store.read_at(BLOCK, 100)


def test_a_store_that_knows_no_ranges_is_an_error(
    web: WebServer, store: RemoteSource, expect_log: ExpectLog
) -> None:
    expect_log(r"failed: no ranges")
    web.knows_ranges = False

    with pytest.raises(OSError, match="no parts"):
        store.read_at(BLOCK, 100)


@pytest.mark.parametrize("url", ["s3://archive/cd", "s3://archive/cd/"])
def test_a_medium_in_a_bucket_is_the_same_tree_as_in_a_folder(
    bucket: S3Server, url: str
) -> None:
    del bucket
    here = look(SAMPLES)
    with remotes(url) as made:
        there = look(made.folder(0))

    assert len(files(here)) == 31
    assert _contents(there) == _contents(here)


def test_what_is_not_in_a_bucket_is_not_there(bucket: S3Server) -> None:
    del bucket
    with remotes("s3://archive/cd/") as made:
        folder = made.folder(0)
        assert b"DICOMDIR" in folder.names(())
        assert folders_in(folder, (b"77654033",)) == [b"CR1", b"CR2", b"CR3", b"CT2"]
        with pytest.raises(FileNotFoundError):
            folder.names((b"NOTHING",))
        with pytest.raises(FileNotFoundError):
            folder.status((b"NOTHING",))
        with pytest.raises(NotADirectoryError):
            folder.names((b"DICOMDIR",))
        with pytest.raises(OSError, match="not a regular file"):
            folder.open((b"77654033",))


@pytest.mark.parametrize(
    "name", [b"..", b"../secret", b"a/../../secret", b"/secret", b"", b"\xff", b"\0"]
)
def test_nothing_beside_the_folder_is_reached(bucket: S3Server, name: bytes) -> None:
    del bucket
    with remotes("s3://archive/cd/") as made:
        folder = made.folder(0)
        with pytest.raises(FileNotFoundError):
            folder.names((name, b"x"))
        with pytest.raises(FileNotFoundError):
            folder.status((name,))
