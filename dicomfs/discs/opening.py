"""Opening media for a program."""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dicomfs.dicom.charsets import declared
from dicomfs.discs.disc import Disc
from dicomfs.discs.given import Given, Kept, OpenedMedium, OpenedStream, open_given
from dicomfs.discs.kinds import check_seconds, check_source, check_text, listed
from dicomfs.errors import DirectoryError, Failure, Problem
from dicomfs.fileset.open import file_sets_of, listen
from dicomfs.findings import Findings
from dicomfs.media.opening import unreadable
from dicomfs.source.pulse import DEADLINE
from dicomfs.tree.tree import Tree

# Whoever wants to hear what is logged says so; by itself Python would print it.
logging.getLogger("dicomfs").addHandler(logging.NullHandler())


def open_disc(
    *sources: Given,
    scan: bool = False,
    index_only: bool = False,
    extras: bool = False,
    passwords: Iterable[str | bytes] = (),
    charset: str = "",
    deadline: float = DEADLINE,
) -> Disc:
    """Open one medium, or several that are joined, and return what is on it.

    A source is what a command takes: the path of a folder, a DICOMDIR, an image, an
    archive or a drive, or a URL; or a seekable binary file that is open already. The
    options are those of ``dicomfs mount``: *scan* leaves the DICOMDIR alone and reads
    the headers of all files, *index_only* opens no instance for what the records lack,
    *extras* lists documents, *passwords* are tried for encrypted archives, *charset* is
    a Specific Character Set to read text in. A server, and one of several media, has
    *deadline* seconds to answer.

    Raises Failure, whose ``problem`` says which one, if there is nothing to be shown;
    TypeError or ValueError for what is no source, and no such option.

    >>> import dicomfs
    >>> with dicomfs.open(sample) as disc:
    ...     for patient in disc.patients:
    ...         print(patient.name)
    Doe, Archibald (77654033)
    Doe, Peter (98890234)
    """
    if not sources:
        raise TypeError("open() needs at least one source")
    if scan and index_only:
        raise ValueError("scan reads all headers, and index_only none")
    for source in sources:
        if not isinstance(source, OpenedStream | OpenedMedium):
            check_source(source)
    check_seconds(deadline, "deadline")
    asked = Ways(scan, _passwords(passwords), _charset(charset), deadline)
    opened = open_given(sources, deadline)
    try:
        tree = _tree(opened, asked, read_headers=not index_only)
    except BaseException:
        for each in opened:
            each.leave()
        raise
    if extras:
        from dicomfs.extras import adding  # noqa: PLC0415 - costs who wants them

        adding.add_to(tree, deadline)
    return Disc(tree, opened, deadline)


class Ways(NamedTuple):
    """How File-sets are found and read; see ``file_sets_of``."""

    scan: bool
    passwords: Sequence[bytes]
    charset: bytes
    deadline: float


def _tree(opened: Sequence[Kept], ways: Ways, *, read_headers: bool) -> Tree:
    """Return the tree of what was *opened*, its links checked; raises Failure."""
    try:
        file_sets = file_sets_of(opened, Findings(), **ways._asdict())
        listen(file_sets)
        tree = Tree(file_sets, read_headers=read_headers)
        # Names that a program has remembered are not to change.
        tree.check_links()
    except OSError as error:
        raise unreadable(error) from error
    except DirectoryError as error:
        raise Failure(Problem.DICOMDIR_BROKEN, reason=error) from error
    return tree


def _charset(term: str) -> bytes:
    """Return *term* as a value of Specific Character Set; ValueError if it is none."""
    check_text(term, "charset")
    value = term.encode("ascii", "replace")
    if value and declared(value) is None:
        raise ValueError(f"{term!r} is not a Specific Character Set")
    return value


def _passwords(given: Iterable[str | bytes]) -> list[bytes]:
    """Return passwords as bytes, and load what they need."""
    values = listed(given, "passwords", (str, bytes))
    known = [each.encode() if isinstance(each, str) else each for each in values]
    if known:
        from dicomfs.media.zip import decrypt  # noqa: PLC0415 - mostly not needed

        decrypt.load()
    return known
