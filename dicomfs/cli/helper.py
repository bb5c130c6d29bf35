"""The helper form: what mount(8) calls for a line of fstab, or ``mount -t dicomfs``.

    mount.dicomfs SOURCE MOUNTPOINT [-sfnv] [-N NAMESPACE] [-o OPTION,...] [-t TYPE]
    dicomfs SOURCE MOUNTPOINT -o OPTION,...

The second is what mount.fuse3 makes of the type ``fuse.dicomfs``. Both end with the exit
codes of mount(8), and say nothing if all goes well.
"""

import errno
import os
import pwd
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from dicomfs.cli import fstab
from dicomfs.cli.arguments import path_of
from dicomfs.cli.codes import Exit
from dicomfs.cli.parser import Parser, parsed, parsers
from dicomfs.cli.terminal import say
from dicomfs.errors import Failure, Problem

NAME: Final = "mount.dicomfs"

# mount(8), "Exit status": 1 is a wrong call, 8 an interrupt, and 32 a failure to mount.
_CODES: Final[Mapping[int, int]] = {Exit.OK: 0, Exit.USAGE: 1, Exit.INTERRUPTED: 8}
_NOT_MOUNTED: Final = 32
# How the kernel says that there is no drive, or nothing in it.
_ABSENT: Final = frozenset(
    map(os.strerror, (errno.ENOMEDIUM, errno.ENXIO, errno.ENODEV))
)


def is_meant(arguments: Sequence[str]) -> bool:
    """Whether *arguments* are those of mount.fuse3, and no command."""
    match arguments:
        case [source, _, "-o", _]:
            return not source.startswith("-") and source not in parsers()[1]
    return False


def code_of(exit_code: int) -> int:
    """Return what mount(8) understands of an *exit_code* of the command line."""
    return _CODES.get(exit_code, _NOT_MOUNTED)


def run(arguments: Sequence[str]) -> Exit:
    """Mount what *arguments* ask for; raises Failure."""
    from dicomfs.cli import mount

    asked = helper_parser().parse_args(arguments)
    known = parsers()[1]["mount"].options
    long = [*fstab.as_long(asked.options, known, is_sloppy=asked.sloppy)]
    if asked.verbose:
        long.append("--verbose")
    given = parsed(["mount", *long, "--", asked.source, asked.mountpoint])
    options = replace(mount.options_of(given), shown_as=_shown(asked.source))
    if asked.fake:
        return Exit.OK
    _find_home()
    if asked.namespace:
        _enter(asked.namespace)
    try:
        place = mount.mount([asked.source], path_of(asked.mountpoint), options)
    except Failure as failure:
        if "nofail" in fstab.options_in(asked.options) and _is_absent(failure):
            return Exit.OK
        raise
    if asked.verbose:
        say(f"mounted on {place}")
    return Exit.OK


def _shown(source: str) -> str:
    """Return what the list of mounts calls a mount: by it, mount(8) knows it again.

    Whoever mounts by mount(8) shows it to all users, as for any other file system.
    """
    from dicomfs.remote import urls

    return urls.shown(source) if urls.is_url(source) else source


def _is_absent(failure: Failure) -> bool:
    reason = failure.facts.get("reason")
    return failure.problem is Problem.SOURCE_MISSING or reason in _ABSENT


def _find_home() -> None:
    """Set HOME, which mount(8) empties; mount.fuse3 says root's, whoever mounts."""
    with suppress(KeyError):
        os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir


def _enter(namespace: str) -> None:
    from dicomfs.sandbox import process

    try:
        process.enter_mounts(namespace)
    except OSError as error:
        raise Failure(
            Problem.NAMESPACE, name=namespace, reason=error.strerror
        ) from error


def helper_parser() -> Parser:
    """Return what understands the arguments that mount(8) gives to a helper."""
    parser = Parser(
        prog=NAME,
        description="Mount a medium as dicomfs mount does. Called by mount(8) for the "
        "type dicomfs, with the exit codes of mount(8).",
        allow_abbrev=False,
    )
    parser.add_argument("source", metavar="SOURCE", help="the medium")
    parser.add_argument("mountpoint", metavar="MOUNTPOINT", help="an empty folder")
    for flag, name, told in (
        ("-s", "sloppy", "pass over options that are not known"),
        ("-f", "fake", "do everything but mount"),
        ("-n", "no_mtab", "accepted: nothing is written to /etc/mtab in any case"),
        ("-v", "verbose", "say what is done, and log more"),
    ):
        parser.add_argument(flag, dest=name, action="store_true", help=told)
    parser.add_argument(
        "-N", dest="namespace", metavar="FILE", help="mount in this mount namespace"
    )
    parser.add_argument(
        "-o",
        dest="options",
        action="append",
        default=[],
        metavar="OPTION[,...]",
        help="options of dicomfs mount, with _ for each - if you like; those of any "
        "mount are accepted and change nothing",
    )
    parser.add_argument(
        "-t", dest="type", metavar="TYPE", help="accepted: there is one type"
    )
    return parser
