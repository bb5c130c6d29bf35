"""The command line: what it understands, what it says, and how it ends.

Nothing heavy is imported before it is needed: ``--help``, ``umount`` and mistakes are
answered at once, and commands that do not mount work where pyfuse3 is not installed.
Data go to stdout, messages to stderr.
"""

import argparse
import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from dicomfs.cli.terminal import say
from dicomfs.errors import MEANINGS, Exit, Failure
from dicomfs.mount.options import DEFAULT_DEADLINE, DEFAULT_UMASK, Options

if TYPE_CHECKING:
    from dicomfs.fileset.fileset import FileSet
    from dicomfs.media.opening import OpenedSource
    from dicomfs.tree.report import Report
    from dicomfs.tree.tree import Tree

# mount(8) and fstab hand these on; a dicomfs mount is what it is without them.
_IGNORED_OPTIONS: Final = frozenset(
    "ro rw dev nodev suid nosuid exec noexec auto noauto user users nouser defaults "  # noqa: SIM905
    "nofail _netdev relatime noatime default_permissions".split()
)

_SOURCE_HELP: Final = (
    "the folder of a medium, the DICOMDIR itself, an ISO or UDF image, a ZIP archive, "
    "or a drive; several are joined"
)

# The last number means "nobody in particular" to the kernel.
_MAX_ID: Final = 2**32 - 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    # Paths may be any bytes; on stdout they are data, and shown as they are.
    for stream, errors in (
        (sys.stdout, "surrogateescape"),
        (sys.stderr, "backslashreplace"),
    ):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    try:
        given = _parsed(arguments)
        return int(given.run(given))
    except Failure as failure:
        _complain(failure)
        return failure.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - people get two lines, no traceback
        _complain(_unforeseen(error))
        return Exit.UNEXPECTED


def _unforeseen(error: Exception) -> Failure:
    from dicomfs import logs

    return Failure(
        Exit.UNEXPECTED,
        f"an error that dicomfs did not foresee: {logs.place_of(error)}",
        "report it, with what you did and with dicomfs --version",
    )


def _complain(failure: Failure) -> None:
    say(failure.what)
    say(f"to mend it: {failure.mend}")


# -- what is understood --------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _complain(Failure(Exit.USAGE, message, f"see {self.prog} --help"))
        raise SystemExit(Exit.USAGE)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    given, rest = parser.parse_known_args(arguments)
    # argparse takes the paths in one piece: those behind an option come as a rest, and
    # what follows "--" is a path, whatever it begins with.
    end = rest.index("--") if "--" in rest else len(rest)
    is_option = any(each.startswith("-") for each in rest[:end])
    if rest and ("paths" not in given or is_option):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        given.paths += rest[:end] + rest[end + 1 :]
    return given


class _Version(argparse.Action):
    def __call__(self, *_: object) -> NoReturn:
        from dicomfs.cli.versions import versions

        print(versions())
        raise SystemExit(Exit.OK)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dicomfs",
        description="Show a DICOMDIR medium as Patient/Study/Series folders.",
        epilog=_exit_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the versions and end"
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    _add_mount(commands)
    _add_umount(commands)
    _add_tree(commands)
    _add_check(commands)
    _add_demo(commands)
    return parser


def _exit_codes() -> str:
    rows = [f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(["exit codes:", *rows])


_Commands = argparse._SubParsersAction


def _add_mount(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser(
        "mount",
        help="mount media on an empty folder",
        description="Mount one medium or several, read-only, on an empty folder. "
        "Returns when the mount answers; it is then served in the background.",
        usage="dicomfs mount [OPTION ...] SOURCE [SOURCE ...] MOUNTPOINT",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_mount)
    parser.add_argument(
        "paths",
        metavar="SOURCE ... MOUNTPOINT",
        nargs="+",
        help=f"{_SOURCE_HELP}; last an empty folder",
    )
    _add_ways(parser)
    access = parser.add_argument_group("who may read the mount (by default: you alone)")
    access.add_argument(
        "--allow-other", action="store_true", help="other users too, within the modes"
    )
    access.add_argument("--uid", type=_id, help="owner of all files (default: you)")
    access.add_argument("--gid", type=_id, help="group of all files (default: yours)")
    access.add_argument(
        "--umask",
        type=_octal,
        default=DEFAULT_UMASK,
        help=f"permission bits to take away, octal (default: {DEFAULT_UMASK:03o})",
    )
    running = parser.add_argument_group("how it runs")
    running.add_argument(
        "-f", "--foreground", action="store_true", help="stay in front until the end"
    )
    running.add_argument(
        "--deadline",
        type=_seconds,
        default=DEFAULT_DEADLINE,
        metavar="SECONDS",
        help="answer a request with an error after this long (default: 30)",
    )
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
        help="the same as mount(8) would give it: allow_other, uid=, gid=, umask=; "
        "others that every mount knows are accepted and change nothing",
    )


def _add_umount(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser(
        "umount",
        help="end a mount",
        description="End mounts of dicomfs. fusermount3 -u does the same.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_umount)
    parser.add_argument(
        "-z",
        "--lazy",
        action="store_true",
        help="take it out of sight now, even if files are open",
    )
    parser.add_argument("mountpoints", metavar="MOUNTPOINT", type=_path, nargs="+")


def _add_tree(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser(
        "tree",
        help="print what a mount would show, without mounting",
        description="Print the same names and structure that a mount shows. Needs "
        "no FUSE.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_tree)
    _add_sources(parser)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object, with sizes and times"
    )


def _add_check(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser(
        "check",
        help="read everything, and say what is wrong with a medium",
        description="Read all of a medium, every record and every file, and say what "
        "is wrong with it: 0 is the exit code if nothing is, 4 if there are faults, 8 "
        "if the medium cannot be read. Needs no FUSE.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_check)
    _add_sources(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _add_demo(commands: "_Commands[_Parser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="mount the sample medium that pydicom ships, and show it",
        description="Mount the sample medium that pydicom ships on a private folder, "
        "and show what is in it.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_demo)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="SOURCE", nargs="+", help=_SOURCE_HELP)
    _add_ways(parser)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-file",
        type=_path,
        metavar="FILE",
        help="passwords of encrypted archives, one a line",
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


def _path(text: str) -> Path:
    # Path("") would be the current folder.
    if not text:
        raise Failure(Exit.USAGE, "an empty path", "see dicomfs --help")
    return Path(text)


def _octal(text: str) -> int:
    if not re.fullmatch("0?[0-7]{1,3}", text):
        raise argparse.ArgumentTypeError(f"{text} is no umask like 077")
    return int(text, 8)


def _id(text: str) -> int:
    if not text.isdecimal() or int(text) > _MAX_ID:
        raise argparse.ArgumentTypeError(f"{text} is no number of a user or group")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d*)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return float(text)


# -- what is done --------------------------------------------------------------


def _mount(given: argparse.Namespace) -> Exit:
    *sources, mountpoint = given.paths
    if not sources:
        raise Failure(Exit.USAGE, "there is no MOUNTPOINT", "see dicomfs mount --help")
    place = _mount_sources(sources, _path(mountpoint), _options(given))
    if not given.foreground:
        say(f"mounted on {place}; to end it: dicomfs umount {shlex.quote(str(place))}")
    return Exit.OK


def _mount_sources(sources: Sequence[str], mountpoint: Path, options: Options) -> Path:
    """Mount and return the mountpoint, as the kernel calls it; raises Failure."""
    from dicomfs.media.opening import OpenedFolder
    from dicomfs.mount import mountpoint as mountpoints
    from dicomfs.mount import supervisor

    opened = _opened(sources, options.deadline)
    place = mountpoints.resolve(mountpoint)
    folders = [each.path for each in opened if isinstance(each, OpenedFolder)]
    mountpoints.check(place, folders)
    mountpoints.check_fuse()
    _check_pyfuse3()
    _check_log_file(options)
    if not options.foreground:
        supervisor.mount_in_background(opened, place, options)
        return place
    ended = supervisor.mount_in_foreground(
        opened, place, options, lambda: say(f"mounted on {place}; Ctrl-C ends it")
    )
    if ended != Exit.OK:
        raise Failure(
            ended, "the serving process failed; the mount is gone", "mount it again"
        )
    return place


def _opened(
    sources: Sequence[str], deadline: float = DEFAULT_DEADLINE
) -> "list[OpenedSource]":
    """Open all *sources*, paths and URLs; raises Failure."""
    from dicomfs.media.opening import is_url, open_sources
    from dicomfs.mount import mountpoint as mountpoints

    urls = [each for each in sources if is_url(each)]
    paths = [_path(each) for each in sources if not is_url(each)]
    local = iter(open_sources([mountpoints.resolve(path) for path in paths]))
    if not urls:
        return list(local)
    from dicomfs.remote.fetcher import open_urls

    remote = iter(open_urls(urls, deadline))
    return [next(remote if is_url(each) else local) for each in sources]


def _passwords(given: argparse.Namespace) -> tuple[bytes, ...]:
    """Return the lines of the password file; raises Failure if it cannot be read."""
    if given.password_file is None:
        return ()
    from dicomfs.media.zip import decrypt

    # While there may be imported: the worker may not any more.
    decrypt.load()
    try:
        return tuple(given.password_file.read_bytes().splitlines())
    except OSError as error:
        raise Failure(
            Exit.USAGE,
            f"the password file {given.password_file} cannot be read: {error.strerror}",
            "give a file of yours that has a password on each line",
        ) from error


def _check_pyfuse3() -> None:
    from importlib.util import find_spec

    if find_spec("pyfuse3") is None:
        raise Failure(
            Exit.NO_PYFUSE3,
            "pyfuse3 is not installed",
            "install it: sudo apt install fuse3 libfuse3-dev pkg-config gcc "
            "python3-dev && pip install pyfuse3",
        )


def _check_log_file(options: Options) -> None:
    if options.log_file is None:
        return
    try:
        options.log_file.open("a").close()
    except OSError as error:
        raise Failure(
            Exit.USAGE,
            f"the log file {options.log_file} cannot be written: {error.strerror}",
            "give a file in a folder of your own",
        ) from error


def _options(given: argparse.Namespace) -> Options:
    wanted = {
        "allow_other": given.allow_other,
        "uid": os.getuid() if given.uid is None else given.uid,
        "gid": os.getgid() if given.gid is None else given.gid,
        "umask": given.umask,
    }
    for option in ",".join(given.mount_options).split(","):
        wanted |= _mount_option(option)
    return Options(
        **wanted,
        index_only=given.index_only,
        scan=given.scan,
        foreground=given.foreground,
        deadline=given.deadline,
        log_file=given.log_file and given.log_file.absolute(),
        verbose=given.verbose,
        log_names=given.log_names,
        passwords=_passwords(given),
    )


def _mount_option(option: str) -> dict[str, int]:
    """Return what an ``-o`` option of mount(8) means to us."""
    name, _, value = option.partition("=")
    name = name.replace("-", "_")
    if not name or name in _IGNORED_OPTIONS or name.startswith("x_"):
        return {}
    try:
        if name == "allow_other":
            return {name: True}
        if name in {"uid", "gid"}:
            return {name: _id(value)}
        if name == "umask":
            return {name: _octal(value)}
    except argparse.ArgumentTypeError as error:
        raise Failure(
            Exit.USAGE, f"-o {option}: {error}", "see dicomfs mount --help"
        ) from error
    raise Failure(
        Exit.USAGE,
        f"-o {option}: there is no such option",
        "see dicomfs mount --help",
    )


def _umount(given: argparse.Namespace) -> Exit:
    from dicomfs.mount import mountpoint as mountpoints

    exit_code = Exit.OK
    for mountpoint in given.mountpoints:
        try:
            mountpoints.end(mountpoints.resolve(mountpoint), lazy=given.lazy)
        except Failure as failure:
            _complain(failure)
            exit_code = exit_code or failure.exit_code
    return exit_code


def _tree(given: argparse.Namespace) -> Exit:
    from dicomfs import logs
    from dicomfs.tree.tree import Tree

    logs.to_terminal()
    tree = Tree(_file_sets(given, say), read_headers=not given.index_only)
    _print(_outlined(tree, as_json=given.json), is_json=given.json)
    return Exit.OK


def _file_sets(
    given: argparse.Namespace, tell: Callable[[str], None]
) -> "list[FileSet]":
    """Return the File-sets of the sources that were *given*; raises Failure.

    *tell* hears which are left out.
    """
    from dicomfs.fileset.open import file_sets_of
    from dicomfs.findings import Findings

    return file_sets_of(
        _opened(given.paths),
        Findings(),
        scan=given.scan,
        passwords=_passwords(given),
        tell=tell,
    )


def _outlined(tree: "Tree", *, as_json: bool) -> Iterator[str]:
    """Yield the lines of *tree*; raises Failure if the medium cannot be read."""
    from dicomfs.cli import outline
    from dicomfs.media.opening import unreadable

    try:
        # What is printed cannot be taken back: first see that the links are sound.
        tree.check_links()
        if as_json:
            yield outline.as_json(tree.root)
        else:
            yield from outline.lines(tree.root)
    except OSError as error:
        raise unreadable(error) from error


def _print(lines: Iterator[str], *, is_json: bool) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a letter is no reason to show nothing. JSON is
        # UTF-8 everywhere (RFC 8259).
        encoding = "utf-8" if is_json else None
        sys.stdout.reconfigure(encoding=encoding, errors="replace")
    try:
        for line in lines:
            print(line)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # whoever read it has seen enough
        raise Failure(
            Exit.UNEXPECTED,
            f"the output cannot be written: {error.strerror}",
            "see that there is room where it goes",
        ) from error


def _check(given: argparse.Namespace) -> Exit:
    import logging

    from dicomfs.tree import report

    # What is wrong is in the report; said twice it would not be twice as clear.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        made = _checked(given)
    except Failure as failure:
        if failure.exit_code == Exit.USAGE:
            raise
        raise Failure(Exit.UNCHECKED, failure.what, failure.mend) from failure
    text = report.as_json(made) if given.json else report.as_text(made)
    _print(iter(text.splitlines()), is_json=given.json)
    if made.failure:
        return Exit.UNCHECKED
    return Exit.FAULTS if made.faults else Exit.OK


def _checked(given: argparse.Namespace) -> "Report":
    """Return the report on media; raises Failure if they have none of their own."""
    from dicomfs.check.check import check
    from dicomfs.cli.terminal import status_line

    # The report says what is left out.
    file_sets = _file_sets(given, lambda _: None)
    with status_line(sys.stderr) as show:
        return check(
            file_sets,
            lambda stage, count: show(f"{stage.meaning}: {count:,}"),
            index_only=given.index_only,
        )


def _demo(_: argparse.Namespace) -> Exit:
    from dicomfs.cli import demo

    source, place = demo.sample(), demo.private_folder()
    if not demo.is_mounted(place):
        _mount_sources([str(source)], place, Options.default())
    _tree(_parser().parse_args(["tree", str(source)]))
    say(f"this is mounted on {place}")
    say(f"look at it:  ls -R {shlex.quote(str(place))}    or open it in a file manager")
    say(f"end it:      fusermount3 -u {shlex.quote(str(place))}")
    return Exit.OK
