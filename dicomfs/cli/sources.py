"""The sources that a command was given: opened, and as File-sets."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dicomfs.cli.arguments import path_of
from dicomfs.fileset.listener import Listener
from dicomfs.source.pulse import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicomfs.cli.apart import Child
    from dicomfs.fileset.aside import Job
    from dicomfs.fileset.fileset import FileSet
    from dicomfs.media.opening import OpenedSource
    from dicomfs.media.zip.passwords import PasswordFile


# What the functions here import when they are called.
_OF_OPENING: Final = (
    *("dicomfs.fileset.aside", "dicomfs.fileset.glance", "dicomfs.fileset.open"),
    *("dicomfs.media.handover", "dicomfs.mount.mountpoint", "dicomfs.remote.urls"),
)


def load(*, scan: bool) -> None:
    """Load what opening sources takes, before a process is forked for each of many.

    Else each of them would, which takes four times as long as reading a small one.
    """
    from dicomfs.fileset import confinement
    from dicomfs.sandbox import loading

    loading.load((), _OF_OPENING)
    confinement.load(is_plain=False, scan=scan)


def opened(sources: Sequence[str], deadline: float = DEADLINE) -> "list[OpenedSource]":
    """Open all *sources*, paths and URLs, each within the *deadline*; raises Failure."""
    from dicomfs.media.handover import open_sources
    from dicomfs.mount import mountpoint
    from dicomfs.remote.urls import is_url

    urls = [each for each in sources if is_url(each)]
    paths = [path_of(each) for each in sources if not is_url(each)]
    local = iter(open_sources(paths, mountpoint.resolve, deadline))
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


def passwords(given: argparse.Namespace) -> "PasswordFile | None":
    """Return the password file, opened, if one was *given*; raises Failure."""
    if given.password_file is None:
        return None
    from dicomfs.media.zip.passwords import open_passwords

    return open_passwords(given.password_file)


def file_sets(
    given: argparse.Namespace,
    listener: Listener,
    child: "Child",
    jobs: "Mapping[str, Job] | None" = None,
) -> "list[FileSet]":
    """Return the File-sets of the sources that were *given*; raises Failure.

    The *listener* hears how their opening goes. Once they are open this process, a
    *child*, has no rights any more but to read them. Where there are *jobs*, or a scan is
    to be made, a second process may read files, too.
    """
    from dicomfs.dicom.header import BEGINNING
    from dicomfs.fileset import glance
    from dicomfs.fileset.aside import Job
    from dicomfs.fileset.open import file_sets_of
    from dicomfs.findings import Findings

    deadline: float = given.deadline
    found = opened(given.paths, deadline)
    file = passwords(given)
    known = file.read() if file else ()
    if given.scan:
        jobs = {**(jobs or {}), glance.JOB: Job(glance.told, BEGINNING)}
    child.confine_to(found, scan=given.scan, jobs=jobs)
    return file_sets_of(
        found,
        Findings(),
        scan=given.scan,
        passwords=known,
        charset=given.charset,
        deadline=deadline,
        listener=listener,
    )
