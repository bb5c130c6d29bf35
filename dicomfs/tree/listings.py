"""Listings: what is in each folder, computed once for all who ask and kept for a while.

Any number of threads may ask. Where links turn out to be wrong, the listings that are
kept are computed anew and merged with what they were, so that whoever knows a node can
go on with it.
"""

import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Final, Protocol

from dicomfs import logs
from dicomfs.errors import DicomfsError
from dicomfs.tree.files import Files
from dicomfs.tree.identity import file_inode
from dicomfs.tree.node import FolderNode
from dicomfs.tree.selection import Entry, Listing, Selection

log = logging.getLogger(__name__)

# Nodes in listings that are kept, and beside them one listing of more than half as many.
MOST_KEPT: Final = 200_000


class Expandable(Protocol):
    """The slice of the tree that is needed here."""

    @property
    def revision(self) -> int:
        """Counts up when folders have to be computed anew."""
        ...

    def expand(self, folder: Selection) -> Listing:
        """Compute what is in *folder*; raises OSError."""
        ...

    def complete(self, folder: Selection) -> None:
        """See that all is known that *folder* depends on, which may take long."""
        ...

    @property
    def completeness(self) -> "Settling":
        """The check of all links."""
        ...


class Settling(Protocol):
    """The slice of the check of all links that is needed here."""

    @property
    def is_settled(self) -> bool:
        """Whether it is done."""
        ...

    def begin(self) -> bool:
        """Say that a thread is about to do it; return whether the root waits for it."""
        ...

    def settle_all(self) -> None:
        """Do it."""
        ...


class Listings:
    """What is in the folders of a tree; *most* nodes or so are kept."""

    def __init__(self, tree: Expandable, most: int = MOST_KEPT) -> None:
        self._tree = tree
        self._most = most
        self._revision = tree.revision
        # Of all that is below; never held while anything is computed.
        self._lock = threading.Lock()
        # Those asked for last come last.
        self._kept: dict[Selection, Listing] = {}
        self._count = 0
        # The one that is not counted: all that lies around it would take its place.
        self._large: Selection | None = None
        # What was merged would come out with other names and numbers.
        self._pinned: set[Selection] = set()
        self._running: dict[Selection, Future[Listing]] = {}
        self._refreshing = threading.Lock()
        # Told of a folder and the names that are there no more, or only now. The thread
        # that found it out calls.
        self.on_change: Callable[[FolderNode, Collection[str]], None] = _tell_nobody

    # -- asking ------------------------------------------------------------------------

    def cached(self, folder: Selection) -> Listing | None:
        """Return what is in *folder* if that is kept, else None."""
        with self._lock:
            listing = self._kept.pop(folder, None)
            if listing is not None:
                self._kept[folder] = listing
            return listing

    def children(self, folder: Selection) -> Listing:
        """Return what is in *folder*, by name and in the order of names.

        It is kept, and the nodes in it are the same until it is given up. Raises
        OSError if the medium cannot be read, or its DICOMDIR was changed.
        """
        listing = self.cached(folder)
        if listing is None:
            self._tree.complete(folder)
        if self.is_stale:
            # It is from above, too, that a folder learns what it consists of.
            self.refresh()
            listing = self.cached(folder)
        return self._computed(folder) if listing is None else listing

    def _computed(self, folder: Selection) -> Listing:
        """Compute what is in *folder*, or wait for a thread that is at it already."""
        mine: Future[Listing] = Future()
        with self._lock:
            if (kept := self._kept.get(folder)) is not None:
                return kept
            running = self._running.setdefault(folder, mine)
        if running is not mine:
            return running.result()
        try:
            listing = self._tree.expand(folder)
        except BaseException as error:
            self._end(folder)
            mine.set_exception(error)
            raise
        self._end(folder, listing)
        mine.set_result(listing)
        return listing

    def _end(self, folder: Selection, listing: Listing | None = None) -> None:
        with self._lock:
            del self._running[folder]
            if listing is not None:
                self._keep(folder, listing)

    def _keep(self, folder: Selection, listing: Listing) -> None:
        """Keep a listing, and give up the oldest ones if there are too many nodes."""
        self._give_up(folder)
        self._kept[folder] = listing
        self._count += len(listing)
        if len(listing) > self._most // 2:
            self._count += self._uncounted() - len(listing)
            self._large = folder
        while self._count > self._most:
            loose = (each for each in self._kept if not self._is_needed(each))
            oldest = next(loose, folder)
            if oldest is folder:
                return
            self._give_up(oldest)

    def _is_needed(self, folder: Selection) -> bool:
        """Whether a listing is to be kept however many there are."""
        is_large = folder is self._large
        return is_large or folder in self._pinned or self._is_early(folder)

    def _is_early(self, folder: Selection) -> bool:
        """Whether it is the root, and what is in it will be checked yet."""
        return folder.parent is None and not self._tree.completeness.is_settled

    def _uncounted(self) -> int:
        return len(self._kept[self._large]) if self._large is not None else 0

    def _give_up(self, folder: Selection) -> None:
        count = len(self._kept.pop(folder, ()))
        if folder is self._large:
            self._large = None
        else:
            self._count -= count

    def forget(self, folder: Selection) -> None:
        """Give up what is kept of *folder*; asked again, it comes out the same."""
        if self._is_early(folder):
            return
        with self._lock:
            self._give_up(folder)
            self._pinned.discard(folder)

    # -- links that turn out to be wrong -----------------------------------------------

    @property
    def is_stale(self) -> bool:
        """Whether what is kept has to be computed anew."""
        return self._revision != self._tree.revision

    def refresh(self) -> None:
        """Compute the listings that are kept anew, if they are stale.

        What is in them keeps its name; what belongs elsewhere goes, and what was found
        comes. A folder that cannot be read stays as it was.
        """
        with self._refreshing:
            while self.is_stale:
                self._revision = self._tree.revision
                with self._lock:
                    kept = [*self._kept]
                # From the root down: a folder learns from above what it consists of.
                for folder in sorted(kept, key=lambda each: len(each.path)):
                    self._list_anew(folder)

    def _list_anew(self, folder: Selection) -> None:
        old = self._kept.get(folder)
        if old is None:
            return
        try:
            new = self._tree.expand(folder)
        except (OSError, DicomfsError) as error:
            log.warning("a folder cannot be listed anew: %s", type(error).__name__)
            return
        except Exception as error:  # noqa: BLE001 - all other folders go on
            logs.unforeseen(log, "listing a folder anew", error)
            return
        if not (isinstance(new, Files) and new.is_same(old)):
            self._replace(folder, old, merged(old, new))

    def _replace(self, folder: Selection, old: Listing, new: Listing) -> None:
        with self._lock:
            if self._kept.get(folder) is not old:
                return
            self._pinned.add(folder)
            self._keep(folder, new)
        # Who saw them may be about to look into them, and finds nothing.
        gone = [each for name, each in old.items() if name not in new]
        hidden = {name: each for name, each in folder.hidden.items() if name not in new}
        for node in gone:
            if isinstance(node, Selection):
                node.parts = []
                hidden[node.name] = node
        folder.hidden = hidden
        if names := old.keys() ^ new.keys():
            self.on_change(folder, names)

    def begin(self) -> bool:
        """Say that a thread is about to ``settle``; return whether the root waits for it.

        Until then others do it themselves.
        """
        return self._tree.completeness.begin()

    def settle(self) -> None:
        """Check all links, and refresh what is kept; for the background.

        Failures are logged.
        """
        try:
            self._tree.completeness.settle_all()
        except Exception as error:  # noqa: BLE001 - the tree is of use without
            logs.unforeseen(log, "checking the links", error)
        self.refresh()


def _tell_nobody(folder: FolderNode, names: Collection[str]) -> None:
    """Hear of a change, and do nothing."""


def merged(old: Listing, new: Listing) -> Listing:
    """Return *new*, in which all that was in *old* keeps its name and inode number.

    Nodes of *old* are the same objects in it. Those of *new* may be given other names
    and numbers, as nobody knows them yet.
    """
    known = {node.identity: node for node in old.values()}
    result: dict[str, Entry] = {}
    added: list[Entry] = []
    for node in new.values():
        if (before := known.get(node.identity)) is None:
            added.append(node)
            continue
        if isinstance(before, Selection) and isinstance(node, Selection):
            before.parts = node.parts
        result[before.name] = before
    taken = {node.inode for node in known.values()}
    used = taken | {node.inode for node in new.values()}
    number = len(used)
    for node in added:
        if node.inode in taken and node.parent is not None:
            while (inode := file_inode(node.parent.inode, number)) in used:
                number += 1
            node.inode = inode
            used.add(inode)
        if node.name in old or node.name in result:
            node.name = _told_apart(node)
        result[node.name] = node
    return dict(sorted(result.items()))


def _told_apart(node: Entry) -> str:
    """Return the name of *node* with its inode number in it."""
    stem, dot, extension = node.name.rpartition(".")
    if not stem:
        return f"{extension} [{node.inode:x}]"
    return f"{stem} [{node.inode:x}]{dot}{extension}"
