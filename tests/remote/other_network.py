"""A program: a fetcher on a machine that comes into another network. Run by a test.

To be run with a /etc and a loopback of its own. It prints what came of some reads.
"""

import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dicomfs.remote import keeper
from dicomfs.remote.connection import Connection
from dicomfs.remote.wire import Request, Verb
from tests.support.mounting import PATIENCE
from tests.support.servers import web_server

DATA: Final = b"an object" * 1000
RESOLVED: Final = Path("/etc/resolv.conf")
_ADDRESS: Final = 1
_FOUND: Final = 0x8180
_NO_SUCH_NAME: Final = 0x8183


@contextmanager
def name_server(address: str, name: str) -> Iterator[None]:
    """Serve one name, that of this machine, on *address*."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        threading.Thread(target=_serve, args=(server, name), daemon=True).start()
        yield


def _serve(server: socket.socket, name: str) -> None:
    known = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    while True:
        query, client = server.recvfrom(512)
        asked, rest = query[12:].split(b"\0", 1)
        is_known = asked == known
        is_answer = is_known and struct.unpack_from(">H", rest) == (_ADDRESS,)
        flags = _FOUND if is_known else _NO_SUCH_NAME
        answer = query[:2] + struct.pack(">5H", flags, 1, is_answer, 0, 0)
        answer += asked + b"\0" + rest[:4]
        if is_answer:
            answer += struct.pack(">HHHIH", 0xC00C, _ADDRESS, 1, 60, 4)
            answer += socket.inet_aton("127.0.0.1")
        server.sendto(answer, client)


def resolve_by(address: str) -> None:
    """Let the names of this machine be resolved by another server."""
    made = RESOLVED.with_name("resolv.new")
    made.write_text(f"nameserver {address}\noptions timeout:1 attempts:1\n")
    made.rename(RESOLVED)


def read(connection: Connection, which: int, tag: str) -> str:
    """Return what a read of URL *which* comes to."""
    request = Request(Verb.READ, which, b"", tag.encode(), 0, 9, int(PATIENCE * 1000))
    try:
        return connection.ask(request).result(PATIENCE).decode()
    except OSError as error:
        return error.strerror or ""


def main() -> None:
    """Print what came of reading from both servers, before and after."""
    resolve_by("127.0.0.1")
    with (
        name_server("127.0.0.1", "first.example"),
        name_server("127.0.0.2", "second.example"),
        web_server({"disc.iso": DATA}) as web,
    ):
        names = ("first.example", "second.example", "third.example")
        urls = [web.url("disc.iso").replace("127.0.0.1", name) for name in names]
        connection = keeper.start(urls, 4.0)
        found = connection.looked[0].found
        assert found is not None, connection.looked
        sys.stdout.write(f"{read(connection, 0, found.tag)}\n")
        sys.stdout.write(f"{read(connection, 1, found.tag)}\n")
        # Which no server knows.
        sys.stdout.write(f"{read(connection, 2, found.tag)}\n")
        resolve_by("127.0.0.2")
        sys.stdout.write(f"{read(connection, 1, found.tag)}\n")
        connection.close()


if __name__ == "__main__":
    main()
