"""What is made beside the instances of a folder: documents, and folders of key images."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from dicomfs.dicom import tags
from dicomfs.dicom.types import Level
from dicomfs.documents.reading import Reader, reader_of
from dicomfs.extras import keyimages, readme
from dicomfs.extras.choices import Choices
from dicomfs.extras.document import Document
from dicomfs.extras.looking import HEAD, Allowance, Looker
from dicomfs.extras.preview import Previews
from dicomfs.source.source import Source
from dicomfs.tree import naming
from dicomfs.tree.draft import Leaf
from dicomfs.tree.identity import Position, inode
from dicomfs.tree.naming import Name
from dicomfs.tree.node import Frozen, Once
from dicomfs.tree.selection import Extra, Instance, Listing, Selection
from dicomfs.tree.tree import Tree
from dicomfs.tree.whose import is_own_time, says_who_and_when

# The first day of 1980, in seconds: on FAT and in archives it stands for no time.
_NO_TIME: Final = 315_532_800
_DAY: Final = 24 * 3600
# Where the file comes from that no record is the reason for.
_OWN: Final = Position(b"extras", 0)


class Extras:
    """Makes what lies beside what records list in *tree*; see ``tree.Beside``.

    All files that hang together take about *deadline* seconds of a listing. In the root
    lies a file with the text that *welcome* makes, in each series one of *previews*.
    """

    def __init__(
        self,
        tree: Tree,
        deadline: float,
        welcome: Once,
        previews: Previews | None = None,
    ) -> None:
        self._welcome = welcome
        self._previews = previews
        self._tree = tree
        self._looker = Looker(deadline)
        self._choices = Choices(tree, self._looker)

    def made(
        self,
        folder: Selection,
        listing: Listing,
        files: Sequence[tuple[Leaf, Instance]],
    ) -> Iterable[Extra]:
        """Yield what is to lie in *folder* beside what *listing* has, *files* included.

        Those that may hold a document or a choice of key images are opened for that.
        """
        is_told_apart = not says_who_and_when(folder)
        taken = set(map(naming.folded, listing))
        if folder.level is Level.ROOT:
            yield self._readme_in(folder, taken)
        elif folder.level is Level.STUDY:
            chosen = self._choices.read(folder, listing.values())
            yield from keyimages.folders(
                folder, chosen, taken, is_told_apart=is_told_apart
            )
        elif folder.level is Level.SERIES:
            folder.chosen = self._choices.counts(folder)
            if self._previews is not None:
                yield from self._previews.made(folder, files, taken)
        yield from self._documents(folder, files, taken, int(is_told_apart))

    def _readme_in(self, root: Selection, taken: set[str]) -> Frozen:
        """Return the file that says what is in *root*, under a name not yet *taken*."""
        name = Name(readme.STEM, readme.EXTENSION, (_OWN.file_set,))
        return Frozen(
            inode(_OWN, "readme", root.inode),
            naming.beside(name, taken),
            root,
            self._time_ns(root),
            readme.SIZE,
            self._welcome,
        )

    def _time_ns(self, root: Selection) -> int:
        """Return the time of the file in *root*: that of the disc, the same on each mount.

        Where that has none, it is on the day that stands for none, at a moment that tells
        the disc from others: file managers keep pictures of what has one path and one time.
        """
        if is_own_time(root.mtime_ns):
            return root.mtime_ns
        told = b" ".join(sorted(each.identity for each in self._tree.file_sets))
        seconds = int.from_bytes(hashlib.sha256(told).digest()[:4], "big") % _DAY
        return (_NO_TIME + seconds) * 10**9

    def _documents(
        self,
        folder: Selection,
        files: Sequence[tuple[Leaf, Instance]],
        taken: set[str],
        depth: int,
    ) -> Iterable[Document]:
        """Yield the documents in *files*, told apart by so many keys at least."""
        allowance = Allowance()
        for leaf, instance in files:
            reader = _reader(leaf, instance)
            if reader is None:
                continue
            is_last = allowance.is_spent
            found = self._looker.look(
                instance, leaf.record.type, partial(_found, reader), allowance
            )
            if is_last:
                return
            if found is None:
                continue
            for extension, size in found.sizes:
                told = _name(leaf, instance, extension)
                if depth and not leaf.uid:
                    # The place of a record is the same on many discs.
                    told = naming.retold(told, (found.content, *told.keys))
                name = naming.beside(told, taken, depth)
                number = inode(leaf.position, extension, folder.inode)
                when = instance.mtime_ns
                yield Document(
                    number, name, folder, when, instance, reader, extension, size
                )


class _Found(NamedTuple):
    """Extensions and *sizes* of the documents in a file, and what tells its *content*."""

    sizes: Sequence[tuple[str, int]]
    content: bytes


def _found(reader: Reader, file: Source) -> _Found:
    """Return which documents are in *file*; raises what readers do."""
    sizes = [(extension, each.size) for extension, each in reader(file).items()]
    content = hashlib.sha256(file.read_at(0, HEAD) + b"%d" % file.size)
    return _Found(sizes, content.digest())


def _reader(leaf: Leaf, instance: Instance) -> Reader | None:
    """Return who reads the documents of a file, None if it is not to be opened."""
    if instance.error or not instance.size:
        return None
    syntax = leaf.record.attributes.raw(tags.REFERENCED_TRANSFER_SYNTAX_UID)
    return reader_of(leaf.record.shown_type, syntax)


def _name(leaf: Leaf, instance: Instance, extension: str) -> Name:
    """Return the name of a document before it is told from others."""
    stem = instance.name.removesuffix(naming.EXTENSION)
    return Name(stem, extension, leaf.keys)
