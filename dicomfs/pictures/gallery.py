"""The gallery: pictures of images, which the worker has painted for it and keeps a while.

It reads what a picture is made of, and asks the painter, which may be taken over by an
image: what it says is not believed (see ``wire``).
"""

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Hashable
from contextlib import closing
from functools import partial
from typing import Final

from dicomfs.dicom import tags
from dicomfs.dicom.element import items, sniff
from dicomfs.errors import DicomfsError, PictureError
from dicomfs.pictures.excerpt import NOTHING, Excerpt, excerpt, icon
from dicomfs.pictures.wire import (
    Form,
    ProtocolError,
    Request,
    receive_picture,
    send_request,
)
from dicomfs.source.cache import Cache
from dicomfs.source.source import BytesSource
from dicomfs.source.window import Window
from dicomfs.tree.selection import Instance

log = logging.getLogger(__name__)

# Pictures that are kept, each counted with what it takes besides.
_MOST_KEPT: Final = 16 * 1024 * 1024
_OVERHEAD: Final = 512
# Seconds for a painter to be there, which may have to load its libraries.
_PATIENCE: Final = 15.0
# Where it shows that a file is another instance than is listed, or of another patient.
_HEAD: Final = 8192
_ITEM: Final = 8
# A connection that was handed out for somebody who gave up has ended since.
_ATTEMPTS: Final = 3


class Gallery:
    """Pictures by the *line* to the studio; for any number of threads."""

    def __init__(self, line: socket.socket) -> None:
        line.settimeout(_PATIENCE)
        self._line = line
        self._asking = threading.Lock()
        self._kept = Cache[Hashable, bytes](
            _MOST_KEPT, lambda each: len(each) + _OVERHEAD
        )
        self._is_over = False

    def kept(self, file: Instance, form: Form) -> bytes | None:
        """Return the picture of *file* if it is kept, empty if there is none, or None."""
        return self._kept.get((file.identity, form))

    def picture(self, file: Instance, form: Form) -> bytes:
        """Return the picture of *file*, empty if none can be made of it.

        A preview says so then.
        Raises OSError if the medium cannot be read, or nobody can paint now.
        """
        kept = self.kept(file, form)
        if kept is None:
            kept = b""
            if form is Form.NORMAL:
                # Then the image need not be read; others are larger than any icon.
                kept = self._painted(form, partial(_icon, file))
            kept = kept or self._painted(form, partial(_excerpt, file))
            if form is Form.PREVIEW and not kept:
                kept = self._paint(Request(form, NOTHING))
            self._kept.put((file.identity, form), kept)
        return kept

    def preview(self, file: Instance) -> bytes:
        """Return the preview of *file*; raises as ``picture``."""
        return self.picture(file, Form.PREVIEW)

    def _painted(self, form: Form, take: Callable[[], Excerpt]) -> bytes:
        """Return the picture of what *take* gives, empty if none can be made of it."""
        try:
            return self._paint(Request(form, take()))
        except DicomfsError:
            return b""

    def _paint(self, request: Request) -> bytes:
        """Return the picture that *request* asks for; raises OSError (EAGAIN)."""
        for _ in range(_ATTEMPTS):
            with self._connection() as connection:
                try:
                    send_request(connection, request)
                except OSError:
                    continue
                try:
                    return receive_picture(connection)
                except (OSError, ProtocolError):
                    # It was ended by what it had to paint.
                    return b""
        raise _unpainted()

    def _connection(self) -> socket.socket:
        """Return the connection to a process that waits for a request."""
        with self._asking:
            try:
                if self._is_over:
                    raise _unpainted()
                self._line.send(b"\0", socket.MSG_NOSIGNAL)
                _, descriptors, _, _ = socket.recv_fds(
                    self._line, 1, 1, socket.MSG_CMSG_CLOEXEC
                )
            except TimeoutError as error:
                raise _unpainted() from error
            except OSError as error:
                self._end()
                raise _unpainted() from error
        if not descriptors:
            self._end()
            raise _unpainted()
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(_PATIENCE)
        return connection

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            log.info("nobody paints pictures any more")


def _icon(file: Instance) -> Excerpt:
    """Return what the icon in the record of *file* is made of; raises DicomfsError."""
    try:
        record = file.file_set.reader({tags.ICON_IMAGE_SEQUENCE: "SQ"})(file.offset)
    except OSError as error:
        raise PictureError("its record cannot be read") from error
    data = record.attributes.values.get(tags.ICON_IMAGE_SEQUENCE, b"")
    syntax = sniff(data[_ITEM : 2 * _ITEM])
    for start, end in items(Window(BytesSource(data)), 0, len(data), syntax):
        return icon(data[start:end], syntax)
    raise PictureError("its record has no icon")


def _excerpt(file: Instance) -> Excerpt:
    """Return what the picture of *file* is made of; raises OSError and DicomfsError."""
    with closing(file.open()) as source:
        # Who reads the beginning lets it be compared with what is listed.
        source.read_at(0, _HEAD)
        if file.reason:
            raise PictureError(file.reason)
        return excerpt(source)


def _unpainted() -> OSError:
    """Return the error of a picture that cannot be painted now, and perhaps later."""
    return OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
