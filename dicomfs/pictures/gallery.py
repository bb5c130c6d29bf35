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
from dicomfs.findings import Finding, Kind
from dicomfs.pictures.excerpt import NOTHING, Excerpt, excerpt, icon
from dicomfs.pictures.studio import REFUSED
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
_AGAIN: Final = (errno.EAGAIN, os.strerror(errno.EAGAIN))
# A busy machine may be the reason once.
_MOST_LOST: Final = 2
_MOST_REMEMBERED: Final = 10_000


class _LostError(BlockingIOError):
    """Who was to paint has ended: by the image, or as the machine had no time for it."""


class _GivenUpError(BlockingIOError):
    """Nobody paints any more, or not for a while, as too many of those that did failed."""


class Gallery:
    """Pictures by the *line* to the studio; for any number of threads."""

    def __init__(self, line: socket.socket) -> None:
        line.settimeout(_PATIENCE)
        self._line = line
        self._asking = threading.Lock()
        self._kept = Cache[Hashable, bytes](
            _MOST_KEPT, lambda each: len(each) + _OVERHEAD
        )
        # How often painting a picture has ended who painted it.
        self._lost = Cache[Hashable, int](_MOST_REMEMBERED)
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
            key = file.identity, form
            try:
                kept = b"" if self._is_hopeless(key) else self._anew(key, file, form)
                if form is Form.PREVIEW and not kept:
                    kept = self._paint(Request(form, NOTHING))
            except _GivenUpError:
                finding = Finding(Kind.PICTURES_GIVEN_UP)
                file.file_set.findings.of_all.add(finding)
                raise
            self._kept.put(key, kept)
        return kept

    def _is_hopeless(self, key: Hashable) -> bool:
        """Whether painting it would most likely end who paints again."""
        return (self._lost.get(key) or 0) >= _MOST_LOST

    def _anew(self, key: Hashable, file: Instance, form: Form) -> bytes:
        """Return the picture of *file*, empty if none can be made of it; raises OSError."""
        try:
            painted = b""
            if form is Form.NORMAL:
                # Then the image need not be read; others are larger than any icon.
                painted = self._painted(form, partial(_icon, file))
            return painted or self._painted(form, partial(_excerpt, file))
        except _LostError as error:
            self._lost.put(key, (self._lost.get(key) or 0) + 1)
            if self._is_hopeless(key):
                return b""
            raise _unpainted() from error

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
        """Return the picture that *request* asks for, empty if it cannot be made.

        Raises OSError (EAGAIN) if nobody paints now, a _LostError if who painted it ended.
        """
        for _ in range(_ATTEMPTS):
            with self._connection() as connection:
                try:
                    send_request(connection, request)
                except OSError:
                    continue
                try:
                    return receive_picture(connection)
                except (OSError, ProtocolError) as error:
                    raise _LostError(*_AGAIN) from error
        raise _unpainted()

    def _connection(self) -> socket.socket:
        """Return the connection to a process that waits for a request."""
        with self._asking:
            if self._is_over:
                raise _GivenUpError(*_AGAIN)
            try:
                self._line.send(b"\0", socket.MSG_NOSIGNAL)
                said, descriptors, _, _ = socket.recv_fds(
                    self._line, 1, 1, socket.MSG_CMSG_CLOEXEC
                )
            except TimeoutError as error:
                raise _unpainted() from error
            except OSError as error:
                self._end()
                raise _GivenUpError(*_AGAIN) from error
        if not descriptors:
            if said != REFUSED:
                self._end()
            raise _GivenUpError(*_AGAIN)
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(_PATIENCE)
        return connection

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            log.info("nobody paints pictures any more")


def _icon(file: Instance) -> Excerpt:
    """Return what the icon in the record of *file* is made of; raises DicomfsError."""
    if file.reason:
        raise PictureError(file.reason)
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
    return BlockingIOError(*_AGAIN)
