"""What the worker and the fetcher say to each other, over a socket pair.

    fetcher  greeting   what each URL leads to, or why to nothing
    worker   request    bytes of an object, or the names in a folder
    fetcher  answer     to the request of that number, in any order

A request and an answer are a header of fixed size and the bytes whose lengths it says;
nothing is longer than is said here. The worker may be in the hands of a medium, and the
fetcher in those of a server: neither believes the other's lengths, and nothing that is
sent is ever run.
"""

import json
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

# The longest run of bytes that is asked for at once.
MOST_BYTES: Final = 1024 * 1024
# The longest listing; 100,000 files take some 20 MiB.
MOST_LISTED: Final = 64 * 1024 * 1024
MOST_NAME: Final = 4096
MOST_TAG: Final = 1024

_MOST_NUMBER: Final = 2**63
# What bytes raise that are not the JSON that is due; what is nested too deep, too.
_NO_JSON: Final = (ValueError, TypeError, AttributeError, RecursionError)

# Number, kind, which URL, offset, size, milliseconds, lengths of tag and name.
_REQUEST: Final = struct.Struct("<IBIQIIHH")
# Number, outcome, length.
ANSWER: Final = struct.Struct("<IBI")
REQUEST_SIZE: Final = _REQUEST.size


class Verb(IntEnum):
    """What is asked for."""

    READ = 1
    LIST = 2


class Outcome(IntEnum):
    """What came of a request, or of looking what a URL leads to."""

    DONE = 0
    MISSING = 1
    REFUSED = 2
    CHANGED = 3
    UNREACHABLE = 4
    NO_RANGES = 5
    NO_LIBRARY = 6
    NO_PROTOCOL = 7
    NO_FOLDERS = 8
    TOO_LARGE = 9


class Request(NamedTuple):
    """Bytes of the object *name* below URL *which*, or the entries of that folder.

    *name* is empty for the URL itself. *tag* says which version of the object is meant;
    the answer is due within *milliseconds*.
    """

    kind: Verb
    which: int
    name: bytes
    tag: bytes = b""
    offset: int = 0
    size: int = 0
    milliseconds: int = 0


class RemoteStatus(NamedTuple):
    """What a URL or a name leads to: a folder, or an object of this version."""

    is_folder: bool
    size: int = 0
    mtime_ns: int = 0
    tag: str = ""


class UrlStatus(NamedTuple):
    """What came of looking at a URL; *word* tells more of a failure, for a log."""

    outcome: Outcome
    found: RemoteStatus | None = None
    word: str = ""


RemoteListing = dict[str, RemoteStatus]


class ProtocolError(Exception):
    """The other side says what must not be said."""


# -- to and from bytes -----------------------------------------------------------------


def encode_request(number: int, request: Request) -> bytes:
    """Return *request* as it is sent."""
    kind, which, name, tag, offset, size, milliseconds = request
    lengths = len(tag), len(name)
    head = _REQUEST.pack(number, kind, which, offset, size, milliseconds, *lengths)
    return head + tag + name


def decode_request(head: bytes) -> tuple[int, Request, int, int]:
    """Return number and request without tag and name, and the lengths of those two.

    Raises ProtocolError.
    """
    number, kind, which, offset, size, milliseconds, tag, name = _REQUEST.unpack(head)
    if kind not in tuple(Verb) or size > MOST_BYTES:
        raise ProtocolError("no such request")
    if tag > MOST_TAG or name > MOST_NAME:
        raise ProtocolError("a name is too long")
    request = Request(Verb(kind), which, b"", b"", offset, size, milliseconds)
    return number, request, tag, name


def encode_answer(number: int, outcome: Outcome, data: bytes) -> bytes:
    """Return the head of an answer, and *data*; of a failure that is its word."""
    return ANSWER.pack(number, outcome, len(data)) + data


def encode_listing(listing: RemoteListing) -> bytes:
    """Return the entries of a folder as bytes."""
    return json.dumps(listing, separators=(",", ":")).encode()


def decode_listing(data: bytes) -> RemoteListing:
    """Return the entries of a folder; raises ProtocolError."""
    try:
        listing = {name: _found(each) for name, each in json.loads(data).items()}
    except _NO_JSON as error:
        raise ProtocolError("no listing") from error
    if not all(map(is_name, listing)):
        raise ProtocolError("a name that leads elsewhere")
    return listing


def is_name(name: str) -> bool:
    """Whether *name* can be that of an entry in a folder of a medium."""
    return name not in {"", ".", ".."} and "/" not in name and "\0" not in name


def encode_greeting(looked: Sequence[UrlStatus]) -> bytes:
    """Return what each URL leads to as a message."""
    return encode_answer(0, Outcome.DONE, json.dumps(looked).encode())


def decode_greeting(data: bytes | bytearray) -> list[UrlStatus]:
    """Return what each URL leads to; raises ProtocolError."""
    try:
        return [_looked(*each) for each in json.loads(data)]
    except _NO_JSON as error:
        raise ProtocolError("no greeting") from error


def _looked(outcome: int, found: Any, word: str) -> UrlStatus:
    return UrlStatus(Outcome(outcome), None if found is None else _found(found), word)


def _found(values: Any) -> RemoteStatus:
    """Return what JSON says of an entry; raises ValueError or TypeError."""
    types = tuple(map(type, values))
    found = RemoteStatus(*values)
    if types != (bool, int, int, str):
        raise ValueError("an entry of other types")
    if not (0 <= found.size < _MOST_NUMBER and 0 <= found.mtime_ns < _MOST_NUMBER):
        raise ValueError("no size, or no time")
    return found
