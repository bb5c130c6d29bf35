"""Row 15: what is asked of a web server that is far away, step by step."""

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from scripts.benchmark.bench import Bench
from scripts.benchmark.media import need_room
from scripts.benchmark.mounts import Mount
from scripts.benchmark.processes import BenchError, until
from scripts.benchmark.result import Comparison, Missing, Result, Rule
from scripts.benchmark.sizes import KIB, MIB

ROUND_TRIP: Final = 0.05
# Who asks for nothing for so long does nothing in the background.
_QUIET: Final = 20 * ROUND_TRIP
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)$")
_FILE: Final = 64 * KIB


class Asked(NamedTuple):
    """How often a server was asked, and for how many bytes."""

    requests: int
    size: int

    def since(self, before: "Asked") -> "Asked":
        """Return what was asked after *before*."""
        return Asked(self.requests - before.requests, self.size - before.size)


class Server:
    """Serves one file on loopback, a round trip late; ``asked`` counts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.asked = Asked(0, 0)
        self.last = time.monotonic()

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve meanwhile; give the URL."""
        owner = self

        class Handler(_Handler):
            server_of = owner

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                host, port = server.server_address[:2]
                yield f"http://{host!s}:{port}/{self._file.name}"
            finally:
                server.shutdown()
                thread.join()

    def note(self, size: int) -> None:
        """Count a request for so many bytes."""
        with self._lock:
            self.asked = Asked(self.asked.requests + 1, self.asked.size + size)
            self.last = time.monotonic()

    def settled(self) -> Asked:
        """Return what was asked so far, once nothing more is."""
        until(lambda: time.monotonic() - self.last > _QUIET)
        return self.asked

    def read(self, begin: int, size: int) -> bytes:
        """Return bytes of the file."""
        with self._file.open("rb") as file:
            file.seek(begin)
            return file.read(size)

    @property
    def size(self) -> int:
        """How large the file is."""
        return self._file.stat().st_size


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Server

    def do_HEAD(self) -> None:
        """Answer how large the file is."""
        self._answer(0, self.server_of.size, is_head=True)

    def do_GET(self) -> None:
        """Answer with a range of the file, or with all of it."""
        size = self.server_of.size
        found = _RANGE.match(self.headers.get("Range", ""))
        if found is None:
            self._answer(0, size)
            return
        begin, end = int(found[1]), min(int(found[2]) + 1, size)
        self._answer(begin, end)

    def _answer(self, begin: int, end: int, *, is_head: bool = False) -> None:
        size = self.server_of.size
        self.server_of.note(0 if is_head else end - begin)
        time.sleep(ROUND_TRIP)
        is_part = end - begin < size
        self.send_response(206 if is_part else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(end - begin))
        if is_part:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.end_headers()
        if not is_head:
            self.wfile.write(self.server_of.read(begin, end - begin))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def far_away(bench: Bench) -> Iterator[Result]:
    """Row 15: an image on a web server that is 50 ms away."""
    records = bench.sizes.remote
    medium = bench.media.index(records, files=True)
    index = (medium / "DICOMDIR").stat().st_size
    need_room(bench.folder, 2 * index + bench.media.images(medium) * _FILE)
    image = bench.media.iso(medium)
    server = Server(image)
    with server.serving() as url:
        try:
            steps = dict(_steps(bench, server, url))
        except BenchError as error:
            yield Missing(15, "an image on a web server", str(error), failed=True)
            return
    whole = sum(each.size for each in steps.values())
    # What leads to the DICOMDIR, and all of it in large ranges: two a MiB at most. Where
    # the mount answers nobody can tell from outside, as the rest begins at once.
    bounds = {
        "mount, and in the background": 12 + 2 * -(-index // MIB),
        "ls of the root": 8,
        "ls of a patient": 8,
        "ls of a study": 8,
        "ls of a series": 8,
        "cat of one file": 4,
    }
    for step, asked in steps.items():
        yield Comparison(
            row=15,
            what=f"requests 50 ms away: {step}",
            against=f"at most; {asked.size / MIB:.2f} MiB were asked for",
            a=[asked.requests],
            b=[bounds[step]],
            rule=Rule.BOUND,
            unit="",
            nominal=bench.is_nominal("remote"),
            cache=f"an ISO image with {records:,} records, {index / MIB:.1f} MiB of DICOMDIR",
        )
    yield Comparison(
        row=15,
        what="bytes 50 ms away, all steps",
        against="twice the DICOMDIR, and 8 MiB",
        a=[whole / MIB],
        b=[2 * index / MIB + 8],
        rule=Rule.BOUND,
        unit="MiB",
        nominal=bench.is_nominal("remote"),
    )


def _steps(bench: Bench, server: Server, url: str) -> Iterator[tuple[str, Asked]]:
    """Yield what each step asks for; each is followed by what it set going."""
    before = server.asked
    with bench.mounts.dicomfs(url) as mount:
        yield "mount, and in the background", server.settled().since(before)
        place = mount.place
        for what in ("the root", "a patient", "a study", "a series"):
            before = server.asked
            names = mount.run("ls", place).splitlines()
            yield f"ls of {what}", server.settled().since(before)
            place = _first(place, names)
        before = server.asked
        _cat(mount, place)
        yield "cat of one file", server.settled().since(before)


def _first(place: Path, names: list[str]) -> Path:
    if not names:
        raise BenchError("a folder of the mount is empty")
    return place / names[0]


def _cat(mount: Mount, place: Path) -> None:
    mount.run("sh", "-c", 'cat "$1" > /dev/null', "sh", place)
