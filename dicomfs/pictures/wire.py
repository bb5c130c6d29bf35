"""What the worker and who paints a picture say to each other, over a socket pair.

    worker   request   what the picture is made of, and which form it is to have
    painter  answer    the picture, or nothing

A request and an answer are a header of fixed size and the bytes whose lengths it says;
nothing is longer than is said here. Neither side believes the other's lengths.
"""

import socket
import struct
from enum import IntEnum
from typing import Final, NamedTuple

from dicomfs.pictures.excerpt import MOST_DEFLATED, MOST_PIXELS, PIXELS, Excerpt

MOST_PICTURE: Final = 1024 * 1024
# A preview is filled up to this.
PREVIEW_SIZE: Final = 64 * 1024

_MOST_UID: Final = 64
_MOST_DATA: Final = max(MOST_DEFLATED, 8 * 1024 * 1024)
# Form, flags, frame, tag of the pixels, lengths of UID, header and pixels.
_REQUEST: Final = struct.Struct("<BBIIBII")
_ANSWER: Final = struct.Struct("<I")
_EXPLICIT, _LITTLE, _ENCAPSULATED, _DEFLATED, _WORDS = 1, 2, 4, 8, 16


class Form(IntEnum):
    """What a picture is to be: how large, and in which format.

    ``NORMAL`` and ``LARGE`` are those of the freedesktop.org thumbnail specification.
    """

    NORMAL = 1
    LARGE = 2
    PREVIEW = 3


class Request(NamedTuple):
    """A picture of *form*, to be made of *excerpt*."""

    form: Form
    excerpt: Excerpt


class ProtocolError(Exception):
    """The other side says what must not be said."""


def send_request(connection: socket.socket, request: Request) -> None:
    """Send *request*; raises OSError."""
    of = request.excerpt
    flags = (
        of.explicit * _EXPLICIT
        | of.little * _LITTLE
        | of.encapsulated * _ENCAPSULATED
        | of.deflated * _DEFLATED
        | of.words * _WORDS
    )
    uid = of.transfer_syntax[:_MOST_UID]
    lengths = len(uid), len(of.header), len(of.pixels)
    head = _REQUEST.pack(request.form, flags, of.frame, of.pixel_tag, *lengths)
    # Once all is sent, the other side may answer and be gone: nothing may follow.
    for each in filter(None, (head + uid, of.header, of.pixels)):
        connection.sendall(each)


def receive_request(connection: socket.socket) -> Request:
    """Wait for a request; raises OSError and ProtocolError."""
    head = _REQUEST.unpack(_receive(connection, _REQUEST.size))
    form, flags, frame, tag, uid, header, pixels = head
    if form not in tuple(Form) or tag not in {0, *PIXELS}:
        raise ProtocolError("no such request")
    if uid > _MOST_UID or header > _MOST_DATA or pixels > MOST_PIXELS:
        raise ProtocolError("a request that is too long")
    excerpt = Excerpt(
        _receive(connection, uid),
        _receive(connection, header),
        _receive(connection, pixels),
        tag,
        frame,
        bool(flags & _EXPLICIT),
        bool(flags & _LITTLE),
        bool(flags & _ENCAPSULATED),
        bool(flags & _DEFLATED),
        bool(flags & _WORDS),
    )
    return Request(Form(form), excerpt)


def send_picture(connection: socket.socket, picture: bytes) -> None:
    """Send a *picture*, empty if there is none; raises OSError."""
    connection.sendall(_ANSWER.pack(len(picture)) + picture)


def receive_picture(connection: socket.socket) -> bytes:
    """Wait for a picture, empty if there is none; raises OSError and ProtocolError."""
    (length,) = _ANSWER.unpack(_receive(connection, _ANSWER.size))
    if length > MOST_PICTURE:
        raise ProtocolError("a picture that is too large")
    return _receive(connection, length)


def _receive(connection: socket.socket, size: int) -> bytes:
    """Return the next *size* bytes; raises ProtocolError if there are not so many."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise ProtocolError("the other side is gone")
        view = view[count:]
    return bytes(data)
