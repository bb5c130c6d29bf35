"""``dicomfs repair``: a DICOMDIR that is right, for a copy of a medium.

The process that reads the medium cannot write. It says the bytes, and this one writes
them: to a new file beside the one that was asked for, which gets its name at the end.
"""

import argparse
import errno
import logging
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from dicomfs.cli import output, sources
from dicomfs.cli.apart import Child, apart
from dicomfs.cli.codes import Exit
from dicomfs.cli.terminal import Audience, say, warnings_handler
from dicomfs.cli.usage import misunderstood
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.patience import Workers
from dicomfs.media.opening import unreadable
from dicomfs.original import account
from dicomfs.original.fileids import FileIds
from dicomfs.original.rebuilt import Rebuilt, as_written, rebuilt
from dicomfs.tree.selection import Instance
from dicomfs.tree.tree import Tree

# One letter is one byte, whatever it is.
_BYTES: Final = "latin-1"
_PIECE: Final = 64 * 1024
# What a file is called until it is whole; its own name may be as long as any.
_BESIDE: Final = ".dicomfs-"
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TO_WRITE: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def run(given: argparse.Namespace) -> int:
    """Write the DICOMDIR of the source that was *given*; raises Failure.

    Return 4 if an instance was left out.
    """
    if len(given.paths) > 1:
        raise misunderstood("there is more than one SOURCE", "repair")
    if given.output is None:
        return _to_stdout(given)
    return _to_file(given, given.output)


def _to_stdout(given: argparse.Namespace) -> int:
    if sys.stdout is None or sys.stdout.isatty():
        raise misunderstood("a DICOMDIR is nothing to read: give -o FILE", "repair")
    writer = _Writer(os.dup(sys.stdout.fileno()))
    try:
        return apart(lambda child: _say(given, child), show=writer.write)
    finally:
        writer.close()


def _to_file(given: argparse.Namespace, path: Path) -> int:
    """Write it to *path*, which is there as a whole or not at all; raises Failure."""
    made: Path | None = None
    try:
        _see_that_free(path)
        number, name = tempfile.mkstemp(prefix=_BESIDE, dir=path.parent)
        made = Path(name)
        # The process that reads the medium must not have it.
        os.close(number)
        writer = _Writer(-1, made)
        code = apart(lambda child: _say(given, child), show=writer.write)
        writer.finish()
        if code in {Exit.OK, Exit.FAULTS}:
            _give_name(made, path)
            made = None
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if made is not None:
            with suppress(OSError):
                made.unlink()
    return code


def _unwritable(path: Path, error: OSError) -> Failure:
    """Return why the file *path* cannot be written: an *error* that was met."""
    folder = path.parent
    if not folder.is_dir():
        return Failure(Problem.OUTPUT_FOLDER, name=path, folder=folder)
    if error.errno in _NO_ROOM:
        return Failure(Problem.OUTPUT, reason=error.strerror)
    return Failure(Problem.OUTPUT_FILE, name=path, reason=error.strerror)


def _give_name(made: Path, path: Path) -> None:
    """Give the file *made* its name, unless another has it by now.

    Raises Failure, or OSError.
    """
    _see_that_free(path)
    made.rename(path)


def _see_that_free(path: Path) -> None:
    """Raise Failure if there is a file *path*, OSError if there can be none."""
    with suppress(FileNotFoundError):
        path.lstat()
        what = f"there is a file {path} already: give a new FILE"
        raise misunderstood(what, "repair")


class _Writer:
    """Writes what is said to a descriptor, or to the file at *path*, opened when due."""

    def __init__(self, descriptor: int, path: Path | None = None) -> None:
        self._descriptor = descriptor
        self._path = path

    def write(self, text: str) -> bool:
        """Write what *text* stands for; return False if nobody reads it any more.

        Raises Failure.
        """
        try:
            data = memoryview(text.encode(_BYTES))
            if self._descriptor < 0 and self._path is not None:
                self._descriptor = os.open(self._path, _TO_WRITE)
            while data:
                data = data[os.write(self._descriptor, data) :]
        except BrokenPipeError:
            return False
        except OSError as error:
            raise Failure(Problem.OUTPUT, reason=error.strerror) from error
        except UnicodeEncodeError as error:
            # Whoever took the process over says something else.
            reason = "the process that reads said what is not bytes"
            raise Failure(Problem.UNFORESEEN, reason=reason) from error
        return True

    def finish(self) -> None:
        """Have all of it on the disk; raises OSError."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
        self.close()

    def close(self) -> None:
        """Let go of what is written to."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


# -- in the child ----------------------------------------------------------------------


def _say(given: argparse.Namespace, child: Child) -> Exit:
    """Say the DICOMDIR, and what could not be kept; raises Failure."""
    logging.getLogger().handlers[:] = [warnings_handler()]
    file_sets = sources.file_sets(given, Audience(), child)
    if len(file_sets) > 1:
        count = len(file_sets)
        what = f"there are {count} DICOMDIRs on the medium: give each of them by itself"
        raise misunderstood(what, "repair")
    tree = Tree(file_sets, read_headers=not given.index_only)
    try:
        made = Workers(1, given.deadline, "repair").ask(lambda: _made(tree, given.scan))
    except OSError as error:
        raise unreadable(error) from error
    for line in (*account.lines(made), *account.of_a_copy(made)):
        say(line)
    for begin in range(0, len(made.dicomdir), _PIECE):
        piece = made.dicomdir[begin : begin + _PIECE]
        output.say_piece(piece.decode(_BYTES))
    return Exit.OK if account.is_whole(made) else Exit.FAULTS


def _made(tree: Tree, is_scan: bool) -> Rebuilt:
    """Return what *tree* shows, rebuilt with the names that files have; raises OSError."""
    tree.check_links()
    return rebuilt(
        tree, FileIds(are_bound=True), _as_it_lies if is_scan else as_written
    )


def _as_it_lies(file: Instance, _: bytes) -> bytes:
    """Return as a File ID where *file* lies on its medium."""
    return b"\\".join(file.place)
