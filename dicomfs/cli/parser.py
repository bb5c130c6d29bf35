"""What the command line understands: its commands, arguments and options."""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dicomfs.cli import fstab, options, output
from dicomfs.cli.arguments import (
    depth_of,
    id_of,
    jobs_of,
    names_of,
    path_of,
    umask_of,
)
from dicomfs.cli.codes import MEANINGS, Exit
from dicomfs.cli.command import command
from dicomfs.cli.usage import misunderstood, nearest
from dicomfs.errors import Failure, Problem
from dicomfs.mount.options import DEFAULT_UMASK
from dicomfs.printable import printable

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what *arguments* ask for, by default those that dicomfs was started with.

    ``command`` names the module that does it. Raises Failure for a mistake.
    """
    asked = [*(sys.argv[1:] if arguments is None else arguments)]
    parser, commands = parsers()
    first = asked[0] if asked else ""
    if first and not first.startswith("-") and first not in commands:
        raise misunderstood(f"there is no command {first}{nearest(first, commands)}")
    given, rest = parser.parse_known_args(asked)
    if listed := vars(given).get("mount_options"):
        # As if they had been given one by one.
        long = fstab.as_long(listed, commands[first].options)
        given, rest = parser.parse_known_args([first, *long, *asked[1:]])
    # argparse takes the paths in one piece: those behind an option come as a rest, and
    # what follows "--" is a path, whatever it begins with.
    end = rest.index("--") if "--" in rest else len(rest)
    for each in rest[:end]:
        if each.startswith("-"):
            raise _unknown(each, given.command, commands[given.command].options)
    if rest and "paths" not in given:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        given.paths += rest[:end] + rest[end + 1 :]
    return given


def _unknown(given: str, subcommand: str, known: Collection[str]) -> Failure:
    option = given.partition("=")[0]
    near = nearest(option, known)
    return misunderstood(f"there is no option {option}{near}", subcommand)


class Parser(argparse.ArgumentParser):
    """Raises Failure for a mistake, and shows help as other output."""

    @property
    def options(self) -> Collection[str]:
        """All options that it knows, long and short."""
        return self._option_string_actions

    def error(self, message: str) -> NoReturn:
        """Raise the Failure of a mistake."""
        raise Failure(Problem.USAGE, reason=message, command=self.prog)

    def print_help(self, file: "SupportsWrite[str] | None" = None) -> None:
        """Write the help to stdout; raises Failure if it takes no more."""
        del file
        output.write(self.format_help().splitlines(), is_json=False)


class _Version(argparse.Action):
    def __call__(self, *_: object) -> NoReturn:
        from dicomfs.cli.versions import versions

        output.write(versions().splitlines(), is_json=False)
        raise SystemExit(Exit.OK)


def parsers() -> tuple[Parser, Mapping[str, Parser]]:
    """Return the parser of the command line, and that of each command."""
    parser = Parser(
        prog=printable(command()),
        description="Show a DICOMDIR medium as Patient/Study/Series folders.",
        epilog=_exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the versions and end"
    )
    commands = parser.add_subparsers(
        title="commands",
        dest="command",
        metavar="COMMAND",
        required=True,
        prog=parser.prog,
    )
    _add_mount(commands)
    _add_umount(commands)
    _add_open(commands)
    _add_tree(commands)
    _add_catalogue(commands)
    _add_check(commands)
    _add_copy(commands)
    _add_repair(commands)
    _add_list(commands)
    _add_doctor(commands)
    _add_demo(commands)
    return parser, commands.choices


def _exit_codes() -> str:
    rows = [f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(["exit codes:", *rows])


_Commands = argparse._SubParsersAction


def _add_mount(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "mount",
        help="mount media on an empty folder",
        description="Mount one medium or several, read-only, on an empty folder. "
        "Returns when the mount answers; it is then served in the background. Without "
        "MOUNTPOINT a folder is made in ~/Patients, named after the medium, and removed "
        "at the end.",
        usage="%(prog)s [OPTION ...] SOURCE [[SOURCE ...] MOUNTPOINT]",
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths",
        metavar="SOURCE ... MOUNTPOINT",
        nargs="+",
        help=f"{options.SOURCES}; last an empty folder, which one SOURCE can do without",
    )
    options.add_ways(parser)
    options.add_extras(parser)
    parser.add_argument(
        "--no-pictures",
        action="store_true",
        help="have no pictures of images for file managers",
    )
    parser.add_argument(
        "--original",
        action="store_true",
        help="show the disc in good order, instead of folders for people: instances "
        "under their File IDs, and a DICOMDIR that is right, for DICOM programs",
    )
    access = parser.add_argument_group("who may read the mount (by default: you alone)")
    access.add_argument(
        "--allow-other", action="store_true", help="other users too, within the modes"
    )
    access.add_argument("--uid", type=id_of, help="owner of all files (default: you)")
    access.add_argument("--gid", type=id_of, help="group of all files (default: yours)")
    access.add_argument(
        "--umask",
        type=umask_of,
        default=DEFAULT_UMASK,
        help=f"permission bits to take away, octal (default: {DEFAULT_UMASK:03o})",
    )
    running = parser.add_argument_group("how it runs")
    running.add_argument(
        "-f", "--foreground", action="store_true", help="stay in front until the end"
    )
    options.add_deadline(running, "answer a request with an error after this long")
    running.add_argument(
        "--log-file",
        type=Path,
        metavar="FILE",
        help="log there (default: syslog, or the terminal with -f)",
    )
    running.add_argument("-v", "--verbose", action="store_true", help="log more")
    running.add_argument(
        "--log-names",
        action="store_true",
        help="log names of patients too, where there are findings about them",
    )
    running.add_argument(
        "-o",
        dest="mount_options",
        action="append",
        default=[],
        metavar="OPTION[,...]",
        help="the same options as mount(8) and fstab give them: allow_other, umask=022, "
        "password_file=FILE ...; those of any mount are accepted and change nothing",
    )


def _add_umount(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "umount",
        help="end a mount",
        description="End mounts of dicomfs. fusermount3 -u does the same.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-z",
        "--lazy",
        action="store_true",
        help="take it out of sight now, even if files are open",
    )
    parser.add_argument("mountpoints", metavar="MOUNTPOINT", type=path_of, nargs="+")


def _add_open(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "open",
        help="mount a medium and show it in the file manager",
        description="Mount a medium in ~/Patients, with --extras, and open it in the "
        "file manager: what a desktop does at a double click. Where the DICOMDIR is of no "
        "use, all files are read instead. A notification says what is wrong.",
        allow_abbrev=False,
    )
    parser.add_argument("source", metavar="SOURCE", help=options.ONE_SOURCE)
    options.add_ways(parser)
    options.add_deadline(parser, "answer a request with an error after this long")


def _add_tree(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "tree",
        help="print what a mount would show, without mounting",
        description="Print the same names and structure that a mount shows. Needs "
        "no FUSE.",
        allow_abbrev=False,
    )
    options.add_sources(parser)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument(
        "--studies",
        action="store_true",
        help="a line a study: patient, date, modalities, description, series, images, "
        "bytes, and the disc that it is on",
    )
    forms.add_argument(
        "--json",
        action="store_true",
        help="one JSON object, with what the records say, sizes and times",
    )
    forms.add_argument(
        "--jsonl", action="store_true", help="the same as one JSON object a study"
    )
    options.add_extras(parser)
    parser.add_argument(
        "--depth",
        type=depth_of,
        metavar="N",
        help="look only so many folders deep: 1 for patients, 2 for studies ...",
    )


def _add_catalogue(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "catalogue",
        help="print a table of what is on media",
        description="Print a table of the patients, studies, series or instances on "
        "each SOURCE: what the records say, how many there are, which files are "
        "missing, and where they lie. Opens no instance, but for --headers. Needs no "
        "FUSE.",
        allow_abbrev=False,
    )
    options.add_sources(parser)
    parser.add_argument(
        "--level",
        choices=("patient", "study", "series", "instance"),
        default="series",
        help="what a row is about (default: series)",
    )
    parser.add_argument(
        "--columns",
        type=names_of,
        default=[],
        metavar="KEYWORD,...",
        help="these columns, by their keywords in DICOM (PatientID, StudyDate ...)",
    )
    parser.add_argument(
        "--headers",
        action="store_true",
        help="read the headers of instances for what records lack",
    )
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--csv", action="store_true", help="as CSV (the default)")
    forms.add_argument("--jsonl", action="store_true", help="as a JSON object a row")
    parser.add_argument(
        "--excel",
        action="store_true",
        help="CSV of which a spreadsheet takes nothing for a formula",
    )
    parser.add_argument(
        "--jobs",
        type=jobs_of,
        default=1,
        metavar="N",
        help="read so many sources at a time (default: 1)",
    )


def _add_check(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "check",
        help="read everything, and say what is wrong with a medium",
        description="Read all of a medium, every record and every file, and say what "
        "is wrong with it: 0 is the exit code if nothing is, 4 if there are faults, 8 "
        "if the medium cannot be read. Needs no FUSE.",
        allow_abbrev=False,
    )
    options.add_sources(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _add_copy(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "copy",
        help="copy what a mount would show, without mounting",
        description="Copy what a mount would show into a folder, under the same names "
        "and with the same times: all of it, or what PATH leads to. What is written is "
        "read back. What is there already is passed over, so a copy that was "
        "interrupted goes on. 4 is the exit code if not all could be copied. Needs no "
        "FUSE.",
        usage="%(prog)s [OPTION ...] SOURCE[/PATH] [SOURCE ...] DESTINATION",
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths",
        metavar="SOURCE ... DESTINATION",
        nargs="+",
        help=f"{options.SOURCES}; behind it perhaps a path as a mount shows it; last a "
        "folder, which is made if it is not there",
    )
    options.add_ways(parser)
    options.add_extras(parser)
    parser.add_argument(
        "--compare",
        action="store_true",
        help="compare files that are there already byte by byte, too, and not only by "
        "size and time",
    )
    options.add_deadline(parser, "give up a file that does not answer for this long")


def _add_repair(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "repair",
        help="write a DICOMDIR that is right, for a copy of a medium",
        description="Write a new DICOMDIR for a copy of one medium: its records as they "
        "are, with links, flags and encoding that are right. Nothing is written to the "
        "medium. 4 is the exit code if an instance had to be left out.",
        allow_abbrev=False,
    )
    options.add_one_source(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=path_of,
        metavar="FILE",
        help="write it there, where there is no file yet (default: to stdout)",
    )


def _add_list(commands: "_Commands[Parser]") -> None:
    parser = commands.add_parser(
        "list",
        help="show what is mounted, and where",
        description="Show the mounts of dicomfs, of all users, as the kernel has them.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _add_doctor(commands: "_Commands[Parser]") -> None:
    commands.add_parser(
        "doctor",
        help="say what this machine lacks, and how to mend it",
        description="Look at what dicomfs needs of this machine, and print what is "
        "missing with the line that mends it: 0 is the exit code if a medium can be "
        "mounted, 4 if not.",
        allow_abbrev=False,
    )


def _add_demo(commands: "_Commands[Parser]") -> None:
    commands.add_parser(
        "demo",
        help="mount the sample medium that pydicom ships, and show it",
        description="Mount the sample medium that pydicom ships on a private folder, "
        "and show what is in it.",
        allow_abbrev=False,
    )
