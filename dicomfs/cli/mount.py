"""``dicomfs mount``: media on an empty folder."""

import argparse
import io
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from dicomfs import logs
from dicomfs.cli import places, sources
from dicomfs.cli.arguments import path_of
from dicomfs.cli.codes import Exit
from dicomfs.cli.command import command
from dicomfs.cli.terminal import Audience, say, warnings_handler
from dicomfs.cli.usage import misunderstood
from dicomfs.errors import Failure, Problem
from dicomfs.media.opening import OpenedFolder, OpenedSource
from dicomfs.mount import attachment, mountpoint, supervisor
from dicomfs.mount.options import Options
from dicomfs.remote.urls import is_url

# What lets the group, or others, list a folder and go into it.
_ENTER: Final = (0o050, 0o005)
_NOBODY: Final = (
    "--allow-other lets nobody in: folders are for their owner alone, which is you; "
    "give --umask 022 for all users, or --uid for one"
)


def run(given: argparse.Namespace) -> Exit:
    """Mount what was *given*; raises Failure."""
    paths, place = given.paths, None
    if len(paths) > 1:
        *paths, last = paths
        if is_url(last):
            raise misunderstood("there is no MOUNTPOINT behind the SOURCEs", "mount")
        place = path_of(last)
    place = mount(paths, place, options_of(given))
    if not given.foreground:
        how = f"{command()} umount {shlex.quote(str(place))}"
        say(f"mounted on {place}; to end it: {how}")
    return Exit.OK


def mount(
    paths: Sequence[str],
    place: Path | None,
    options: Options,
    audience: Audience | None = None,
) -> Path:
    """Mount sources on *place*; return it as the kernel calls it; raises Failure.

    Without a place a folder is made, for the time of the mount. The *audience* hears how
    it goes, by default who reads stderr.
    """
    opened = sources.opened(paths, options.deadline)
    options = replace(options, title=_title(paths, opened))
    audience = audience or Audience(tells_names=not _is_logged(options))
    if place is None:
        place = places.made_for(paths[0])
        options = replace(options, made=mountpoint.resolve(place))
    try:
        return _mount(opened, mountpoint.resolve(place), options, audience)
    except BaseException:
        mountpoint.remove(options.made)
        raise


def _title(paths: Sequence[str], opened: Sequence[OpenedSource]) -> str:
    """Return what people call the media at *paths*: the first, and how many more."""
    # Where one could not be opened, its path may hang whoever asks for its label.
    good = [
        path
        for path, each in zip(paths, opened, strict=True)
        if each.descriptors or is_url(path)
    ]
    title = places.title_of(good[0]) if good else ""
    return f"{title} and {len(good) - 1} more" if title and len(good) > 1 else title


def _mount(
    opened: Sequence[OpenedSource], place: Path, options: Options, audience: Audience
) -> Path:
    folders = [each.path for each in opened if isinstance(each, OpenedFolder)]
    attachment.clear_stale(place)
    held = mountpoint.hold(place, folders)
    attachment.check_fuse()
    if find_spec("pyfuse3") is None:
        raise Failure(Problem.NO_PYFUSE3)
    if options.allow_other and _lets_nobody_in(options):
        say(_NOBODY)
    _begin_log(options)
    if not options.foreground:
        supervisor.mount_in_background(opened, held, options, audience)
        return place
    is_well = supervisor.mount_in_foreground(
        opened,
        held,
        options,
        audience,
        lambda: say(f"mounted on {place}; Ctrl-C ends it"),
    )
    if not is_well:
        raise Failure(Problem.WORKER_FAILED)
    return place


def _lets_nobody_in(options: Options) -> bool:
    """Whether the modes keep all users out but the one who mounts."""
    is_open = any(~options.umask & enter == enter for enter in _ENTER)
    return not is_open and options.uid == os.getuid()


def _is_logged(options: Options) -> bool:
    """Whether what is said on stderr may end up in a log, as it does under systemd."""
    return options.foreground and not (sys.stderr and sys.stderr.isatty())


def _begin_log(options: Options) -> None:
    """Log to a file if one was named, else to the terminal or to syslog.

    A mount in the background shows warnings on the terminal as well, until it lets go
    of it: who asked should see what is wrong with the medium. Raises Failure.
    """
    logs.configure(
        _handler(options), verbose=options.verbose, log_names=options.log_names
    )
    if not options.foreground:
        logging.getLogger().addHandler(warnings_handler())


def _handler(options: Options) -> logging.Handler:
    if options.log_file is None:
        return logging.StreamHandler() if options.foreground else logs.syslog()
    try:
        return _LogFile(options.log_file, encoding="utf-8")
    except OSError as error:
        raise Failure(
            Problem.LOG_FILE, file=options.log_file, reason=error.strerror
        ) from error


class _LogFile(logging.FileHandler):
    """A log in a file that it makes for its owner alone."""

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(self.baseFilename, flags, 0o600)
        return os.fdopen(log, "a", encoding=self.encoding)


def options_of(given: argparse.Namespace) -> Options:
    """Return the options that were *given*; raises Failure."""
    return Options(
        allow_other=given.allow_other,
        uid=os.getuid() if given.uid is None else given.uid,
        gid=os.getgid() if given.gid is None else given.gid,
        umask=given.umask,
        index_only=given.index_only,
        extras=given.extras,
        pictures=not given.no_pictures,
        original=given.original,
        scan=given.scan,
        foreground=given.foreground,
        deadline=given.deadline,
        log_file=given.log_file and given.log_file.absolute(),
        verbose=given.verbose,
        log_names=given.log_names,
        password_file=sources.passwords(given),
        charset=given.charset,
    )
