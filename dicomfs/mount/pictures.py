"""Pictures on demand: who asks last gets the first one, as that is what people look at.

File managers ask for all that is in sight at once. Two pictures are in the making at a
time; what has waited too long is dropped, and painted when it is asked for again.
"""

import errno
import os
from collections.abc import Hashable
from functools import partial
from typing import Final

import trio

from dicomfs.mount.threads import Threads
from dicomfs.pictures import thumbnail
from dicomfs.pictures.gallery import Gallery
from dicomfs.pictures.repository import (
    FOLDER,
    Picture,
    Repository,
    Shelf,
    repository,
)
from dicomfs.pictures.wire import Form
from dicomfs.tree.node import FolderNode, Node
from dicomfs.tree.selection import Instance
from dicomfs.tree.whose import has_own_time, says_who_and_when

_AT_ONCE: Final = 2
# At a time, and with those that hang.
_THREADS: Final = (_AT_ONCE, 8)
# Seconds; whoever wanted it looks at something else by then.
_PATIENCE: Final = 5.0


class Pictures:
    """The pictures of a *gallery*, each within *deadline* seconds."""

    def __init__(self, gallery: Gallery, deadline: float) -> None:
        self._gallery = gallery
        self._deadline = deadline
        self._threads = Threads(*_THREADS)
        # Which image is meant: to find out keeps nobody from asking, however many wait.
        self._looking = Threads(*_THREADS)
        self._working = 0
        # Who wants one, those who came last at the end.
        self._waiting: list[trio.Event] = []
        self._painting: dict[Hashable, _Painting] = {}

    def shared_in(self, folder: FolderNode, name: str) -> Repository | None:
        """Return the repository in *folder*, if *name* is that of one."""
        if name == FOLDER and folder.has_images:
            return repository(folder, self._gallery.picture)
        return None

    async def look_up(self, shelf: Shelf, name: str) -> Picture | None:
        """Return the picture called *name*, None if there never will be one.

        Raises OSError (ENOENT) if it cannot be painted now.
        """
        with trio.fail_after(self._deadline):
            image = await self._looking.run(partial(shelf.image, name))
        if image is None:
            return None
        try:
            painted = await self._picture(image, shelf.form)
        except (OSError, trio.TooSlowError) as error:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
        return shelf.picture(name, image, painted)

    async def thumbnail(self, node: Node) -> bytes:
        """Return the attribute that has the picture of *node*, empty if it has none.

        It has none where others, who keep it by its path, could take it for another's.
        Raises OSError if it cannot be painted now.
        """
        if not isinstance(node, Instance) or not has_own_time(node):
            return b""
        with trio.fail_after(self._deadline):
            is_told = await self._looking.run(partial(says_who_and_when, node.parent))
        if not is_told:
            return b""
        return thumbnail.filled(await self._picture(node, Form.NORMAL))

    async def _picture(self, file: Instance, form: Form) -> bytes:
        """Return a picture, empty if there is none; it is painted once for all who ask."""
        kept = self._gallery.kept(file, form)
        if kept is not None:
            return kept
        key = file.identity, form
        painting = self._painting.get(key)
        if painting is None:
            painting = self._painting[key] = _Painting(file, form)
            trio.lowlevel.spawn_system_task(self._paint, key, painting)
        await painting.done.wait()
        return painting.result()

    async def _paint(self, key: Hashable, painting: "_Painting") -> None:
        try:
            await self._turn()
            try:
                with trio.fail_after(self._deadline):
                    painting.picture = await self._threads.run(
                        partial(self._gallery.picture, painting.file, painting.form)
                    )
            finally:
                self._pass_on()
        except Exception as error:  # noqa: BLE001 - raised to those who wait
            painting.error = error
        finally:
            del self._painting[key]
            painting.done.set()

    async def _turn(self) -> None:
        """Wait until there is time for one more picture; raises OSError (EAGAIN)."""
        if self._working < _AT_ONCE:
            self._working += 1
            return
        turn = trio.Event()
        self._waiting.append(turn)
        with trio.move_on_after(_PATIENCE):
            await turn.wait()
        if not turn.is_set():
            self._waiting.remove(turn)
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _pass_on(self) -> None:
        """Let who asked last take the turn."""
        if self._waiting:
            self._waiting.pop().set()
        else:
            self._working -= 1


class _Painting:
    """A picture in the making, for all who wait for it."""

    def __init__(self, file: Instance, form: Form) -> None:
        self.file = file
        self.form = form
        self.done = trio.Event()
        self.picture = b""
        self.error: Exception | None = None

    def result(self) -> bytes:
        """Return the picture, or raise what kept it from being painted."""
        if self.error is not None:
            raise self.error
        return self.picture
