"""The fetcher: what it opens, what it answers, and what it leaves alone."""

import hashlib
import json
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from dicomfs.cli.codes import Exit
from dicomfs.cli.exits import complaint
from dicomfs.errors import Failure
from dicomfs.remote import keeper
from dicomfs.remote.connection import Connection, receive_greeting
from dicomfs.remote.medium import Remotes
from dicomfs.remote.opening import failure
from dicomfs.remote.urls import is_url
from dicomfs.remote.wire import (
    MOST_BYTES,
    REQUEST_SIZE,
    Outcome,
    ProtocolError,
    RemoteStatus,
    Request,
    UrlStatus,
    Verb,
    decode_listing,
    encode_answer,
    encode_greeting,
    encode_request,
)
from dicomfs.source.window import BLOCK
from tests.sandbox.test_sandbox import Held, in_the_sandbox
from tests.support.mounting import PATIENCE, BarePython, python, until
from tests.support.servers import (
    S3Server,
    WebServer,
    fetcher_of,
    has_ended,
    leave_machine,
    remotes,
    s3_server,
    web_server,
)

# Of the child only the thread that forked goes on, and that is all it needs.
pytestmark = [
    pytest.mark.slow,  # each starts the process that fetches
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

DATA: Final = random.Random(8).randbytes(2 * 1024 * 1024)
SECRET: Final = "Sesame77"
ENDED: Final = r"the process that reads over the network has ended"

ExpectLog = Callable[[str], None]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_machine(monkeypatch, tmp_path)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server({"disc.iso": DATA}) as server:
        yield server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.make("archive")
        server.put("archive", "cd/DICOMDIR", DATA)
        server.put("archive", "cd/DICOM/IM1", DATA[:100])
        server.put("archive", "secret", SECRET.encode())
        yield server


# -- what is opened --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("s3://archive/disc.iso", True),
        ("https://example.org/disc.iso", True),
        ("HTTP://example.org/disc.iso", True),
        ("/media/cd", False),
        ("disc.iso", False),
        ("./http://disc", False),
        ("://disc", False),
    ],
)
def test_a_url_is_told_from_a_path(source: str, expected: bool) -> None:
    assert is_url(source) is expected


@pytest.mark.parametrize(
    ("url", "what"),
    [
        (f"https://jane:{SECRET}@example.org/disc.iso", "password"),
        (f"https://{SECRET}@example.org/disc.iso", "password"),
        (f"s3://key:{SECRET}@archive/disc.iso", "password"),
        (f"sftp://jane:{SECRET}@example.org/disc.iso", "password"),
        ("file:///etc/passwd", "no other machine"),
        ("FILE:///etc/passwd", "no other machine"),
        ("local:///etc/passwd", "no other machine"),
        ("reference://x", "no other machine"),
        ("simplecache::s3://archive/disc.iso", "inside another"),
        ("zip://disc.iso::s3://archive/disc.zip", "inside another"),
        ("http://[example.org/disc.iso", "not understood"),
        ("http://", "nowhere"),
    ],
)
def test_a_url_that_is_not_to_be_opened_is_refused_at_once(url: str, what: str) -> None:
    with pytest.raises(Failure) as caught:
        keeper.start([url], 1.0)

    told = complaint(caught.value)
    assert told.exit_code == Exit.USAGE
    assert what in told.what
    assert SECRET not in told.what + told.mend


def test_without_fsspec_it_is_said_how_to_get_it(bare_python: BarePython) -> None:
    done = bare_python.run(
        "from dicomfs.cli.exits import complaint\n"
        "from dicomfs.errors import Failure\n"
        "from dicomfs.remote import keeper\n"
        "try:\n    keeper.start(['http://127.0.0.1/'], 1.0)\n"
        "except Failure as failure: told = complaint(failure)\n"
        "print(told.exit_code, told.mend)"
    )
    assert done.stdout == "11 install it: pip install 'dicomfs[remote]'\n", done.stderr


def test_a_fetcher_that_cannot_start_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "fsspec.py").write_text("import os\nos._exit(1)\n")
    said = python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from dicomfs.cli.exits import complaint\n"
        "from dicomfs.errors import Failure\n"
        "from dicomfs.remote import keeper\n"
        "try:\n    keeper.start(['http://127.0.0.1/disc.iso'], 1.0)\n"
        "except Failure as failure: told = complaint(failure)\n"
        "print(told.exit_code, told.what)"
    )
    assert said == "15 the process that reads over the network has ended\n"


def test_each_url_that_leads_to_nothing_says_why_and_costs_itself(
    web: WebServer,
) -> None:
    with web_server({"disc.iso": DATA}) as locked, web_server({}) as gone:
        locked.password = f"jane:{SECRET}"
        gone.close()
        urls = [
            web.url(f"nothing?signature={SECRET}"),
            locked.url("disc.iso"),
            gone.url("disc.iso"),
            "nonsense://disc.iso",
            "gs://archive/disc.iso",
            web.url("folder/"),
            web.url("disc.iso"),
        ]
        with remotes(*urls, deadline=2.0) as made:
            looked = made.connection.looked
            assert made.source(6).read_at(0, 10) == DATA[:10]

    missing = [each for each in zip(urls, looked, strict=True) if each[1].outcome]
    told = [complaint(failure(*each)) for each in missing]
    assert [each.exit_code for each in told] == [
        Exit.SOURCE_MISSING,
        Exit.SOURCE_UNREADABLE,
        Exit.SOURCE_UNREADABLE,
        Exit.SOURCE_UNSUPPORTED,
        Exit.SOURCE_UNSUPPORTED,
        Exit.SOURCE_UNSUPPORTED,
    ]
    words = [
        "nothing at",
        "refuses",
        "not answer",
        "no such protocol",
        "not installed",
        "is a folder",
    ]
    for word, each in zip(words, told, strict=True):
        assert word in each.what
        assert SECRET not in each.what + each.mend


def test_a_server_that_sends_only_the_whole_is_refused_without_taking_it() -> None:
    size = 256 * 1024 * 1024
    with web_server({"disc.iso": bytes(size)}) as server:
        server.knows_ranges = False
        url = server.url("disc.iso")
        with remotes(url) as made:
            looked = made.connection.looked[0]
        assert looked.outcome == Outcome.NO_RANGES
        assert "only the whole" in str(failure(url, looked))
        # What the buffers of two sockets hold.
        assert server.bytes_written < size // 8


def test_a_server_that_forgets_ranges_is_an_error(
    web: WebServer, expect_log: ExpectLog
) -> None:
    expect_log(r"failed: no ranges")
    with remotes(web.url("disc.iso")) as made:
        web.knows_ranges = False
        with pytest.raises(OSError, match="no parts"):
            made.source(0).read_at(BLOCK, 10)


# -- credentials -----------------------------------------------------------------------


def test_a_password_is_taken_from_netrc(web: WebServer, tmp_path: Path) -> None:
    web.password = f"jane:{SECRET}"
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login jane password {SECRET}\n")
    netrc.chmod(0o600)

    with remotes(web.url("disc.iso")) as made:
        assert made.source(0).read_at(5, 10) == DATA[5:15]


def test_headers_are_taken_from_the_configuration_of_fsspec(
    web: WebServer, tmp_path: Path
) -> None:
    web.password = "jane:open"
    header = {"Authorization": "Basic amFuZTpvcGVu"}
    _configure(tmp_path, {"http": {"client_kwargs": {"headers": header}}})

    with remotes(web.url("disc.iso")) as made:
        assert made.source(0).read_at(5, 10) == DATA[5:15]


def test_a_bucket_is_found_by_the_environment(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)

    with remotes("s3://archive/cd/DICOMDIR") as made:
        assert made.source(0).read_at(5, 10) == DATA[5:15]


def test_a_bucket_is_found_by_the_configuration_of_fsspec(
    s3: S3Server, tmp_path: Path
) -> None:
    endpoint = s3.environment["AWS_ENDPOINT_URL"]
    _configure(
        tmp_path,
        {"s3": {"endpoint_url": endpoint, "key": "nobody", "secret": "nothing"}},
    )

    with remotes("s3://archive/cd/DICOMDIR") as made:
        assert made.source(0).read_at(5, 10) == DATA[5:15]


def test_without_credentials_a_bucket_is_refused(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.environment["AWS_ENDPOINT_URL"])

    with remotes("s3://archive/cd/DICOMDIR") as made:
        assert made.connection.looked[0].outcome == Outcome.REFUSED


def _configure(home: Path, configuration: object) -> None:
    folder = home / ".config/fsspec"
    folder.mkdir(parents=True)
    (folder / "dicomfs.json").write_text(json.dumps(configuration))


# -- other protocols -------------------------------------------------------------------

_IN_MEMORY: Final = """
import asyncio, fsspec
from dicomfs.remote import keeper
from dicomfs.remote import stores as objects
from dicomfs.remote.medium import Remotes
memory = fsspec.filesystem("memory")
memory.pipe("/cd/DICOMDIR", bytes(range(256)) * 1000)
memory.pipe("/cd/DICOM/IM1", b"one")

remotes = Remotes(keeper.start(["memory://cd", "memory://cd/DICOMDIR"], 10.0))
folder = remotes.folder(0)
print(sorted(folder.names(())), folder.entries(())[b"DICOM"].name, folder.names((b"DICOM",)))
print(folder.open((b"DICOM", b"IM1")).read_at(1, 9))
print(remotes.source(1).read_at(255, 3), remotes.source(1).size)
remotes.connection.close()

async def change():
    store = objects.open_store("memory://cd", 1.0)
    before = (await store.list("DICOM"))["IM1"]
    print(await store.read("DICOM/IM1", before.tag, 0, 3))
    memory.pipe("/cd/DICOM/IM1", b"two")
    try:
        await store.read("DICOM/IM1", before.tag, 0, 3)
    except objects.Refusal as refusal:
        print(refusal.outcome.name)
asyncio.run(change())
"""


def test_whatever_else_fsspec_knows_is_read_and_its_changes_are_seen() -> None:
    assert python(_IN_MEMORY).splitlines() == [
        "[b'DICOM', b'DICOMDIR'] FOLDER [b'IM1']",
        "b'ne'",
        r"b'\xff\x00\x01' 256000",
        "b'one'",
        "CHANGED",
    ]


# -- what it answers, whoever asks -----------------------------------------------------


STRAY: Final = [
    b"..",
    b".",
    b"../secret",
    b"DICOM/../../secret",
    b"/secret",
    b"//secret",
    b"DICOM/",
    b"\0",
    b"\xff\xfe",
    b"DICOMDIR?versionId=null",
]


def test_names_that_may_lead_out_of_the_folder_are_not_asked_for(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectLog
) -> None:
    expect_log(r"failed: missing \(Refusal\)")
    for variable, value in s3.environment.items():
        monkeypatch.setenv(variable, value)
    with remotes("s3://archive/cd") as made:
        ask = made.connection.ask
        for name in STRAY:
            with pytest.raises(OSError, match="there no more"):
                ask(Request(Verb.READ, 0, name, b"", 0, 8, 5000)).result(PATIENCE)
            with pytest.raises(FileNotFoundError):
                ask(Request(Verb.LIST, 0, name, b"", 0, 0, 5000)).result(PATIENCE)
        # And this one is.
        good = Request(Verb.LIST, 0, b"DICOM", b"", 0, 0, 5000)
        assert list(decode_listing(ask(good).result(PATIENCE))) == ["IM1"]


def test_it_answers_for_no_url_but_its_own(
    web: WebServer, expect_log: ExpectLog
) -> None:
    expect_log(r"failed: missing")
    with remotes(web.url("disc.iso")) as made:
        with pytest.raises(OSError, match="there no more"):
            made.connection.ask(Request(Verb.READ, 1, b"", b"", 0, 8, 5000)).result()
        # A name below an object is no other object.
        found = made.connection.looked[0].found
        assert found is not None
        web.asked.clear()
        below = Request(Verb.READ, 0, b"secret", found.tag.encode(), 0, 8, 5000)
        assert made.connection.ask(below).result() == DATA[:8]
        assert [each.path for each in web.asked] == ["disc.iso"]


@pytest.mark.parametrize(
    "request_",
    [
        Request(Verb.READ, 0, b"", b"", 0, MOST_BYTES + 1, 1000),
        Request(Verb.READ, 0, b"x" * 5000, b"", 0, 1, 1000),
        Request(Verb.READ, 0, b"", b"x" * 2000, 0, 1, 1000),
    ],
    ids=["bytes", "name", "tag"],
)
def test_a_request_beyond_bounds_ends_it(web: WebServer, request_: Request) -> None:
    connection = keeper.start([web.url("disc.iso")], 5.0)

    assert _answers(connection, encode_request(1, request_)) == b""
    assert until(lambda: has_ended(connection.pid))


def test_a_name_that_is_too_long_is_an_error_of_its_own(web: WebServer) -> None:
    with remotes(web.url("disc.iso")) as made:
        for request in (
            Request(Verb.READ, 0, b"x" * 5000),
            Request(Verb.READ, 0, b"", b"x" * 2000),
        ):
            with pytest.raises(OSError, match="too long"):
                made.connection.ask(request).result(0)
        assert made.source(0).read_at(0, 10) == DATA[:10]


def test_nonsense_is_answered_by_nothing_but_failures_or_its_end(
    web: WebServer,
) -> None:
    chance = random.Random(9)
    good = encode_request(7, Request(Verb.READ, 0, b"", b"t" * 64, 0, 100, 1000))
    for _ in range(4):
        connection = keeper.start([web.url("disc.iso")], 5.0)
        messages = [_mutated(good, chance) for _ in range(40)]
        said = _answers(connection, b"".join(messages))
        assert until(lambda pid=connection.pid: has_ended(pid))  # type: ignore[misc]
        assert DATA[:16] not in said


def _mutated(message: bytes, chance: random.Random) -> bytes:
    mutated = bytearray(message)
    for _ in range(chance.randrange(1, 4)):
        mutated[chance.randrange(REQUEST_SIZE)] = chance.randrange(256)
    return bytes(mutated)


def _answers(connection: Connection, message: bytes) -> bytes:
    """Return all that is answered to *message*, which is the last."""
    said = b""
    with socket.socket(fileno=os.dup(connection.descriptors[-1])) as raw:
        connection.leave()
        raw.settimeout(PATIENCE)
        # A reset is how it ends that has not read all.
        with suppress(ConnectionError):
            raw.send(message)
            raw.shutdown(socket.SHUT_WR)
            while more := raw.recv(65536):
                said += more
    return said


# -- what the worker believes ----------------------------------------------------------


@pytest.fixture
def played() -> Iterator[tuple[Connection, socket.socket]]:
    """Return a connection, and its other end for the test to play the fetcher.

    After it comes no other one.
    """
    ours, theirs = socket.socketpair()
    line, keepers = socket.socketpair()
    keepers.close()
    looked = [
        UrlStatus(Outcome.DONE, RemoteStatus(is_folder)) for is_folder in (False, True)
    ]
    connection = Connection(line, ours, looked, 5.0, 0)
    yield connection, theirs
    # In this order it is no loss that would be logged.
    connection.close()
    theirs.close()


Played = tuple[Connection, socket.socket]

ASKED: Final = Request(Verb.READ, 0, b"", b"", 0, 4, 1000)


@pytest.mark.parametrize(
    "answer",
    [
        encode_answer(2, Outcome.DONE, b"1234"),
        encode_answer(1, Outcome.DONE, b"123"),
        encode_answer(1, Outcome.DONE, b"12345"),
        struct.pack("<IBI", 1, 99, 0),
        struct.pack("<IBI", 1, Outcome.DONE, 2**32 - 1),
        struct.pack("<IBI", 1, Outcome.REFUSED, 2**20),
        encode_answer(1, Outcome.DONE, b"1234")[:-1],
        b"",
    ],
    ids=[
        "not-asked",
        "short",
        "long",
        "outcome",
        "endless",
        "endless-word",
        "cut",
        "nothing",
    ],
)
def test_an_answer_that_cannot_be_right_is_an_error_for_all(
    played: Played, expect_log: ExpectLog, answer: bytes
) -> None:
    expect_log(ENDED)
    connection, theirs = played
    waiting = connection.ask(ASKED)
    theirs.send(answer)
    theirs.shutdown(socket.SHUT_RDWR)

    with pytest.raises(OSError, match="has ended"):
        waiting.result(PATIENCE)
    with pytest.raises(OSError, match="has ended"):
        connection.ask(ASKED).result(0)


def test_the_word_for_a_failure_is_a_name_or_is_not_said(
    played: Played, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log(r"failed: refused \(an error\)")
    connection, theirs = played
    waiting = connection.ask(ASKED)
    theirs.send(encode_answer(1, Outcome.REFUSED, f"https://{SECRET}".encode()))

    with pytest.raises(OSError, match="refuses"):
        waiting.result(PATIENCE)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "listing",
    [
        b"",
        b"[]",
        b'{"a": 1}',
        b'{"a": [false, -1, 0, ""]}',
        b'{"a": [0, 1, 0, ""]}',
        b'{"a": [false, 1, 0]}',
        b'{"a": [false, 1.5, 0, ""]}',
        b'{"a": [false, 1, -1, ""]}',
        b'{"a": [false, 1, 1e400, ""]}',
        b'{"a": [false, 9223372036854775808, 0, ""]}',
        b"\xff",
        b"[" * 100_000,
        b'{"": [true, 0, 0, ""]}',
        b'{".": [true, 0, 0, ""]}',
        b'{"..": [true, 0, 0, ""]}',
        b'{"a/b": [false, 1, 0, ""]}',
        b'{"a\\u0000": [false, 1, 0, ""]}',
    ],
    ids=lambda listing: listing[:40].decode("latin-1"),
)
def test_a_listing_that_is_none_is_an_error(listing: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_listing(listing)


@pytest.mark.parametrize("listing", [b"{", b'{"\\ud800": [true, 0, 0, ""]}'])
def test_a_folder_that_is_listed_with_nonsense_is_an_error(
    played: Played, listing: bytes
) -> None:
    connection, theirs = played
    # Sent before it is asked for, which is all the same to who asks.
    theirs.send(encode_answer(1, Outcome.DONE, listing))

    with pytest.raises(OSError, match="did not list"):
        Remotes(connection).folder(1).names(())


# More than a parser that calls itself can bear.
_DEEP: Final = b"[" * 100_000


@pytest.mark.parametrize(
    "greeting", [b"{", b"[1]", b'[[0, [1, 2], ""]]', b"[[77]]", _DEEP]
)
def test_a_greeting_that_is_none_is_an_error(greeting: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(encode_answer(0, Outcome.DONE, greeting))
        with pytest.raises(ProtocolError):
            receive_greeting(ours)


def test_a_greeting_comes_as_it_was_sent() -> None:
    looked = [
        UrlStatus(Outcome.DONE, RemoteStatus(False, 5, 7, '"tag"')),
        UrlStatus(Outcome.UNREACHABLE, None, "OSError"),
    ]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(encode_greeting(looked))
        assert receive_greeting(ours) == looked


def test_a_fetcher_that_does_not_listen_is_an_error_and_no_wait(
    played: Played,
) -> None:
    connection, _ = played
    answers = [connection.ask(ASKED) for _ in range(5000)]

    full = [each for each in answers if each.done()]
    assert full
    with pytest.raises(OSError, match="does not listen"):
        full[0].result(0)


# -- the process -----------------------------------------------------------------------


def test_it_ends_when_nobody_is_connected(web: WebServer) -> None:
    connection = keeper.start([web.url("disc.iso")], 5.0)
    connection.leave()

    _, status = os.waitpid(connection.pid, 0)
    assert status == 0


def test_it_ends_while_a_server_hangs(web: WebServer) -> None:
    connection = keeper.start([web.url("disc.iso")], 60.0)
    web.may_answer.clear()
    connection.ask(Request(Verb.READ, 0, b"", b"", 0, 8, 60_000))
    connection.close()

    _, status = os.waitpid(connection.pid, 0)
    assert status == 0


def test_it_holds_nothing_but_sockets(web: WebServer, tmp_path: Path) -> None:
    medium = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(medium, True)
    try:
        with remotes(web.url("disc.iso")) as made:
            made.source(0).read_at(0, 10)
            pid = fetcher_of(made.connection)
            held = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
            assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    finally:
        os.close(medium)
    kinds = {each.partition(":[")[0] for each in held}
    assert kinds == {"/dev/null", "socket", "anon_inode"}
    assert held.count("anon_inode:[eventpoll]") == 1


def test_neither_it_nor_the_worker_says_what_a_url_holds(
    web: WebServer,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    expect_log(r"failed: \w+ \(\w+\)")
    caplog.set_level("DEBUG")
    url = web.url(f"disc.iso?{SECRET}")
    with remotes(url, web.url(f"{SECRET}/nothing"), deadline=1.0) as made:
        source = made.source(0)
        web.objects["disc.iso"] = DATA[:-1]
        with pytest.raises(OSError, match="was changed"):
            source.read_at(0, 10)
        web.close()
        with pytest.raises(OSError, match="did not answer"):
            source.read_at(9 * BLOCK, 10)
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


def test_in_the_sandbox_sixteen_threads_read_what_the_fetcher_gets(
    web: WebServer, tmp_path: Path
) -> None:
    (tmp_path / "medium").mkdir()
    (tmp_path / "log").touch()
    connection = keeper.start([web.url("disc.iso")], 20.0)

    def read_all(_: Held) -> str:
        source = Remotes(connection).source(0)
        step = 100_000
        with ThreadPoolExecutor(16) as threads:
            parts = threads.map(
                lambda at: source.read_at(at, step), range(0, len(DATA), step)
            )
            return hashlib.sha256(b"".join(parts)).hexdigest()

    said = in_the_sandbox(tmp_path, read_all)
    connection.leave()

    assert said == hashlib.sha256(DATA).hexdigest()
    assert until(lambda: has_ended(connection.pid))
