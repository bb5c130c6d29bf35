"""The sources that a command was given: opened, and as File-sets."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dicomfs.cli.arguments import path_of
from dicomfs.errors import Failure, Problem
from dicomfs.fileset.listener import Listener
from dicomfs.source.pulse import DEADLINE

if TYPE_CHECKING:
    from dicomfs.fileset.fileset import FileSet
    from dicomfs.media.opening import OpenedSource


def opened(sources: Sequence[str], deadline: float = DEADLINE) -> "list[OpenedSource]":
    """Open all *sources*, paths and URLs; raises Failure."""
    from dicomfs.media.opening import open_sources
    from dicomfs.mount import mountpoint
    from dicomfs.remote.urls import is_url

    urls = [each for each in sources if is_url(each)]
    paths = [path_of(each) for each in sources if not is_url(each)]
    local = iter(open_sources([mountpoint.resolve(path) for path in paths]))
    if not urls:
        return list(local)
    from dicomfs.remote.opening import open_urls
    from dicomfs.sandbox import environment

    # From here on credentials are the fetcher's alone.
    variables = environment.withdraw()
    try:
        remote = iter(open_urls(urls, deadline, variables))
    finally:
        environment.wipe(variables)
    return [next(remote if is_url(each) else local) for each in sources]


def passwords(given: argparse.Namespace) -> tuple[bytes, ...]:
    """Return the lines of the password file; raises Failure if it cannot be read."""
    if given.password_file is None:
        return ()
    from dicomfs.media.zip import decrypt

    # In the sandbox of a mount nothing can be imported any more.
    decrypt.load()
    try:
        return tuple(given.password_file.read_bytes().splitlines())
    except OSError as error:
        raise Failure(
            Problem.PASSWORD_FILE, file=given.password_file, reason=error.strerror
        ) from error


def file_sets(given: argparse.Namespace, listener: Listener) -> "list[FileSet]":
    """Return the File-sets of the sources that were *given*; raises Failure.

    The *listener* hears how their opening goes.
    """
    from dicomfs.fileset.open import file_sets_of
    from dicomfs.fileset.patience import Workers
    from dicomfs.findings import Findings

    deadline: float = given.deadline
    try:
        found = Workers(1, deadline, "opening").ask(
            lambda: opened(given.paths, deadline)
        )
    except TimeoutError as error:
        raise Failure(Problem.SOURCE_SILENT) from error
    return file_sets_of(
        found,
        Findings(),
        scan=given.scan,
        passwords=passwords(given),
        charset=given.charset,
        deadline=deadline,
        listener=listener,
    )
