"""Servers on loopback: a web server with troubles to order, and one that speaks S3.

The web server runs in threads of the test's own process and does what it is told: it
counts, holds answers back, drops connections, answers 503, cuts bodies, ignores ranges,
and goes away and comes back on its port. The S3 server is moto's, in a process of its
own.
"""

import base64
import contextlib
import email.utils
import hashlib
import http.client
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest

from dicomfs.remote import keeper
from dicomfs.remote.blocks import MOST_KEPT, Blocks
from dicomfs.remote.connection import Connection
from dicomfs.remote.medium import Remotes
from tests.support import mounting

# The last moment of 2024-03-05, as servers say it.
MTIME: Final = 1709683199

_CHUNK: Final = 64 * 1024
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")
_SIGNED: Final = (
    "AWS4-HMAC-SHA256 Credential=nobody/20240305/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
_MOTO: Final = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


class Asked(NamedTuple):
    """A request: the bytes of the object that it was for; all of them without a range."""

    path: str
    begin: int
    end: int


class WebServer:
    """Serves *objects* by their paths, on a port of its own."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)
        self.asked: list[Asked] = []
        # Into the network, by the last answers; only for one client at a time.
        self.bytes_written = 0
        self.is_open = False
        self._lock = threading.Lock()
        # Troubles: how many answers still have each, and what all of them have.
        self._troubles: dict[str, int] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()
        # How many wait for that, of clients that are gone, too.
        self.waiting = 0
        self.knows_ranges = True
        self.has_validators = True
        self.password = ""
        self.port = 0
        self.open()

    def open(self) -> None:
        """Listen, on the port as before."""
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()
        self.is_open = True

    def close(self) -> None:
        """Be gone: nobody listens, and all connections are broken."""
        if self.is_open:
            self._server.shutdown()
            self._server.server_close()
            self._server.break_connections()
            self._thread.join()
        self.is_open = False

    def url(self, path: str) -> str:
        """Return the URL of an object."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def trouble(self, kind: str, count: int = 1) -> None:
        """Let the next *count* answers be "503", "dropped" or "cut"."""
        with self._lock:
            self._troubles[kind] = count

    def validators(self, data: bytes) -> dict[str, str]:
        """Return the headers that tell this version of an object from others."""
        if not self.has_validators:
            return {}
        return {
            "ETag": f'"{hashlib.sha256(data).hexdigest()[:32]}"',
            "Last-Modified": email.utils.formatdate(MTIME, usegmt=True),
        }

    def met(self, kind: str) -> bool:
        """Whether this answer has a trouble; for the handler."""
        with self._lock:
            count = self._troubles.get(kind, 0)
            self._troubles[kind] = max(count - 1, 0)
        return count > 0

    def let_wait(self) -> None:
        """Hold a request back until it may be answered; for the handler."""
        with self._lock:
            self.waiting += 1
        self.may_answer.wait(mounting.PATIENCE)
        with self._lock:
            self.waiting -= 1

    def note(self, path: str, begin: int, end: int) -> None:
        """Count a request; for the handler."""
        with self._lock:
            self.asked.append(Asked(path, begin, end))

    @property
    def bytes_sent(self) -> int:
        """How many bytes of objects were asked for."""
        return sum(each.end - each.begin for each in self.asked)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, owner: WebServer) -> None:
        self.owner = owner
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", owner.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that broke."""

    def break_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        """Tell of the whole object, as S3 is asked to."""
        data = self.server.owner.objects.get(self._path())
        if data is None:
            self._fail(404)
        else:
            self._head(200, data, len(data))

    def do_GET(self) -> None:
        """Answer, with the troubles that there are."""
        owner = self.server.owner
        owner.let_wait()
        data = owner.objects.get(self._path())
        begin, end = self._range(len(data or b""))
        owner.note(self._path(), begin, end)
        if owner.met("dropped"):
            self.close_connection = True
        elif owner.met("503"):
            self._fail(503)
        elif not self._is_allowed():
            self._fail(401)
        elif data is None:
            self._fail(404)
        else:
            self._send(data, begin, end)

    def _range(self, size: int) -> tuple[int, int]:
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or not self.server.owner.knows_ranges:
            return 0, size
        return int(match[1]), min(int(match[2]) + 1, size)

    def _is_allowed(self) -> bool:
        password = self.server.owner.password
        given = self.headers.get("Authorization", "")
        wanted = base64.b64encode(password.encode()).decode()
        return not password or given == f"Basic {wanted}"

    def _fail(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _path(self) -> str:
        return self.path.lstrip("/").partition("?")[0]

    def _send(self, data: bytes, begin: int, end: int) -> None:
        part = data[begin:end]
        owner = self.server.owner
        # Who has the head may order the next trouble.
        is_cut = owner.met("cut")
        if owner.knows_ranges:
            place = f"bytes {begin}-{end - 1}" if part else "bytes *"
            ranges = {"Content-Range": f"{place}/{len(data)}"}
            self._head(206 if part else 416, data, len(part), ranges)
        else:
            self._head(200, data, len(part))
        if is_cut:
            part = part[: len(part) // 2]
            self.close_connection = True
        with contextlib.suppress(OSError):
            for at in range(0, len(part), _CHUNK):
                self.wfile.write(part[at : at + _CHUNK])
                owner.bytes_written += _CHUNK

    def _head(
        self,
        status: int,
        data: bytes,
        length: int,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, **self.server.owner.validators(data)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


def leave_machine(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let no proxy and no credentials of this machine take part in a test."""
    for name in os.environ:
        if name.startswith(("AWS_", "FSSPEC_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    # Else it is asked who may be on a machine of Amazon's.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # It reads its configuration when it is loaded, and another test may have done that.
    for name in [*sys.modules]:
        if name.partition(".")[0] in {"fsspec", "s3fs"}:
            monkeypatch.delitem(sys.modules, name)


class Fetched(Remotes):
    """What the fetcher reads, at the end of a connection."""

    connection: Connection


@contextlib.contextmanager
def remotes(
    *urls: str, deadline: float = 10.0, most_kept: int = MOST_KEPT
) -> Iterator[Fetched]:
    """Start a fetcher for *urls*, and see that it ends with the connection."""
    connection = keeper.start(urls, deadline)
    try:
        yield Fetched(connection, Blocks(most_kept))
    finally:
        connection.close()
        assert mounting.until(lambda: has_ended(connection.pid))


def fetcher_of(connection: Connection) -> int:
    """Return the process that fetches at this moment, once there is one."""
    children = Path(f"/proc/{connection.pid}/task/{connection.pid}/children")
    assert mounting.until(lambda: bool(children.read_text()))
    return int(children.read_text())


def has_ended(pid: int) -> bool:
    """Whether our child *pid* has ended; then it is forgotten."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    return True


@contextlib.contextmanager
def web_server(objects: Mapping[str, bytes]) -> Iterator[WebServer]:
    """Serve *objects*, and leave nothing of it in the end."""
    server = WebServer(objects)
    try:
        yield server
    finally:
        server.may_answer.set()
        server.close()


class S3Server:
    """Moto's server: buckets in memory, in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MOTO],
            env=mounting.environment(mounting.new_mark()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def environment(self) -> dict[str, str]:
        """What has to be in the environment of who is to find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def make(self, bucket: str) -> None:
        """Make a bucket."""
        self._put(f"/{bucket}", b"")

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Put an object into a bucket."""
        self._put(f"/{bucket}/{key}", data)

    def put_folder(self, bucket: str, prefix: str, folder: Path) -> None:
        """Put all files below *folder* into a bucket."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder)}"
                self.put(bucket, key, path.read_bytes())

    def _put(self, path: str, data: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        # Nobody looks at the signature, but to change an object there has to be one.
        connection.request("PUT", path, data, {"Authorization": _SIGNED})
        assert connection.getresponse().status == 200
        connection.close()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start an S3 server, and leave nothing of it in the end."""
    server = S3Server()
    try:
        yield server
    finally:
        server.close()
