"""Options that several commands have, and what is said of them."""

import argparse
from typing import Final

from dicomfs.cli.arguments import charset_of, path_of, seconds_of
from dicomfs.source.pulse import DEADLINE

ONE_SOURCE: Final = (
    "the folder of a medium, the DICOMDIR itself, an ISO or UDF image, a ZIP or tar "
    "archive, a drive, or a URL that leads to any of them"
)
SOURCES: Final = f"{ONE_SOURCE}; several are joined"


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command that reads several sources."""
    parser.add_argument("paths", metavar="SOURCE", nargs="+", help=SOURCES)
    _add_reading(parser)


def add_one_source(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command that reads one source: ``paths`` has no other."""
    parser.add_argument("paths", metavar="SOURCE", nargs=1, help=ONE_SOURCE)
    _add_reading(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    add_ways(parser)
    add_deadline(parser, "give up a file that does not answer for this long")


def add_deadline(group: argparse._ActionsContainer, what: str) -> None:
    """Add ``--deadline``, of which the help says *what* happens then."""
    group.add_argument(
        "--deadline",
        type=seconds_of,
        default=DEADLINE,
        metavar="SECONDS",
        help=f"{what} (default: {DEADLINE:g})",
    )


def add_ways(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a medium is to be read."""
    parser.add_argument(
        "--password-file",
        type=path_of,
        metavar="FILE",
        help="passwords of encrypted archives, one a line",
    )
    parser.add_argument(
        "--charset",
        type=charset_of,
        default=b"",
        metavar="TERM",
        help="read text in this character set (GB18030, ISO_IR 144, windows-1251 ...) "
        "whatever the medium says, unless the bytes prove something else",
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--index-only",
        action="store_true",
        help="name everything from the DICOMDIR alone: open no instance for a series "
        "description (or a patient) that the DICOMDIR lacks",
    )
    way.add_argument(
        "--scan",
        action="store_true",
        help="leave the DICOMDIR alone and read the headers of all files instead: for "
        "media without one, or with one that is of no use",
    )


def add_extras(parser: argparse.ArgumentParser) -> None:
    """Add ``--extras``."""
    parser.add_argument(
        "--extras",
        action="store_true",
        help="list documents, too, as files that other programs open: PDF and the like "
        "out of DICOM files, reports as pages, and a README.txt",
    )
