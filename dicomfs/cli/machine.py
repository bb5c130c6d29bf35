"""What a machine has for dicomfs, and what it lacks: looked at, and not guessed.

A *sign* is one thing that was looked at. If something is wrong it has a line that mends
it. What is missing keeps a medium from being mounted; a note is about less than that.
"""

import json
import os
import pwd
import re
import resource
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from dicomfs.cli.exits import complaint
from dicomfs.counting import counted
from dicomfs.errors import Failure, Problem
from dicomfs.media.mountinfo import mounts
from dicomfs.mount import attachment, mountpoint

_FUSE_CONF: Final = Path("/etc/fuse.conf")
_UPDATEDB_CONF: Final = Path("/etc/updatedb.conf")
_APPARMOR: Final = Path("/sys/module/apparmor/parameters/enabled")
_FUSERMOUNT_PROFILE: Final = Path("/etc/apparmor.d/fusermount3")
_STATUS: Final = Path("/proc/self/status")
_CONFINEMENT: Final = Path("/proc/self/attr/current")

_CAP_SYS_ADMIN: Final = 1 << 21
# Of fusermount3, where its configuration says nothing.
_MOST_MOUNTS: Final = 1000
_LEAST_FILES: Final = 1024
_LEAST_MEMORY: Final = 2 * 1024**3
_LANDLOCK: Final = (
    "Linux 5.13 or later has it; add landlock to lsm= on the kernel's command line"
)
_OTHER_PROTECTION: Final = (
    "use a newer kernel, or a container that forbids less; mounts work without it"
)
# Modules, what they are for, and how they come.
_LIBRARIES: Final = (
    ("zlib", "packed archives", "install a Python that was built with zlib"),
    ("bz2", "bzip2 in archives", "install a Python that was built with libbz2"),
    ("lzma", "xz in archives", "install a Python that was built with liblzma"),
    (
        *("Cryptodome", "archives encrypted with AES"),
        "{pip} 'dicomfs[aes]' (with the package of Debian: "
        "sudo apt install python3-pycryptodome)",
    ),
    ("fsspec", "URLs as SOURCE", "{pip} 'dicomfs[remote]'"),
)


class Sign(NamedTuple):
    """What was seen, and how to *mend* it, empty if it is well."""

    what: str
    mend: str = ""
    is_missing: bool = False

    @property
    def state(self) -> str:
        """How it is, in a word."""
        if not self.mend:
            return "ok"
        return "missing" if self.is_missing else "note"


def signs() -> Iterator[Sign]:
    """Yield what can be seen of this machine, as it is for this user."""
    yield from _fuse()
    yield from _rights()
    yield from _serving()
    yield from _apparmor()
    yield from _others()
    yield from _limits()
    yield from _libraries()
    yield from _dead_mounts()


def _missing(failure: Failure) -> Sign:
    told = complaint(failure)
    return Sign(told.what, told.mend, is_missing=True)


def _fuse() -> Iterator[Sign]:
    """Yield whether there is FUSE."""
    failures = {}
    for look in (attachment.check_fuse, attachment.fusermount):
        try:
            look()
        except Failure as failure:
            failures[failure.problem] = failure
    yield from map(_missing, failures.values())
    if Problem.NO_FUSE_DEVICE not in failures:
        yield Sign(f"{attachment.FUSE_DEVICE} can be opened")
    if Problem.NO_FUSERMOUNT not in failures:
        yield Sign(f"fusermount3 is {attachment.fusermount()}")


def _rights() -> Iterator[Sign]:
    """Yield whether this user may mount."""
    status = _STATUS.read_text("ascii")
    if os.getuid() == 0:
        effective = re.search(r"^CapEff:\s*(\w+)", status, re.MULTILINE)
        if effective and not int(effective[1], 16) & _CAP_SYS_ADMIN:
            yield Sign(
                "root has no right to mount here (CAP_SYS_ADMIN)",
                "start the container with --device /dev/fuse --cap-add SYS_ADMIN",
                is_missing=True,
            )
        return
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        yield _missing(Failure(Problem.USER_REFUSED, reason="your user has no name"))
    if re.search(r"^NoNewPrivs:\s*1", status, re.MULTILINE):
        yield Sign(
            "no program gets more rights than you have, so neither does fusermount3",
            "leave the sandbox, or start the container without no-new-privileges",
            is_missing=True,
        )
    with suppress(Failure):
        program = Path(attachment.fusermount())
        if not program.stat().st_mode & stat.S_ISUID:
            yield Sign(
                f"{program} does not run as root, so it cannot mount for you",
                f"sudo chmod u+s {shlex.quote(str(program))}",
                is_missing=True,
            )


def _serving() -> Iterator[Sign]:
    """Yield whether the worker can be loaded, and confines itself; a child tries that."""
    if find_spec("pyfuse3") is None:
        yield _missing(Failure(Problem.NO_PYFUSE3))
        return
    try:
        lacking = _in_child(_confined)
    except ImportError as error:
        name, reason = error.name or "pyfuse3", str(error)
        yield _missing(Failure(Problem.NOT_IMPORTED, name=name, reason=reason))
        return
    yield Sign("the process that serves a mount can be loaded")
    for what in lacking:
        is_landlock = what.startswith("Landlock")
        mend = _LANDLOCK if is_landlock else _OTHER_PROTECTION
        yield Sign(f"the sandbox lacks {what}", mend)
    if not lacking:
        yield Sign("the sandbox has all its protections (Landlock, seccomp and others)")


def _confined() -> list[str]:
    """Load what serves a mount, and give up all rights; return what could not be."""
    from dicomfs.mount import worker
    from dicomfs.sandbox import confine

    del worker
    return confine.restrict(confine.Rights([], of_others=True))


def _in_child(work: Callable[[], list[str]]) -> list[str]:
    """Return what *work* returns in a child process; raises its ImportError."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                told = ["", *work()]
            except ImportError as error:
                told = [error.name or "pyfuse3", str(error)]
            os.write(theirs, json.dumps(told).encode())
        finally:
            os._exit(os.EX_OK)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if not said:
        raise ImportError("it ended while it was loaded", name="pyfuse3")
    failed, *told = map(str, json.loads(said))
    if failed:
        raise ImportError(told[0], name=failed)
    return told


def _apparmor() -> Iterator[Sign]:
    """Yield what AppArmor forbids this process, or fusermount3."""
    if not _text(_APPARMOR).startswith("Y"):
        return
    profile = _text(_CONFINEMENT).rstrip("\0\n")
    if profile and not profile.startswith("unconfined"):
        yield Sign(
            f"AppArmor confines this process ({profile}), and may forbid mounts",
            "start the container with --security-opt apparmor=unconfined",
        )
    if _FUSERMOUNT_PROFILE.exists():
        yield Sign(
            "AppArmor lets fusermount3 mount in some folders only",
            "mount below your home, /media, /mnt or /tmp, or add a rule to "
            "/etc/apparmor.d/local/fusermount3",
        )


def _others() -> Iterator[Sign]:
    """Yield what is to be known where other users are let in."""
    is_allowed = re.search(r"^user_allow_other\s*$", _text(_FUSE_CONF), re.MULTILINE)
    if not is_allowed and os.getuid():
        yield Sign(
            f"--allow-other needs user_allow_other in {_FUSE_CONF}",
            f"echo user_allow_other | sudo tee -a {_FUSE_CONF}",
        )
        return
    yield Sign("other users can be let in (--allow-other)")
    pruned = re.search(r'^PRUNEFS\s*=\s*"([^"]*)"', _text(_UPDATEDB_CONF), re.MULTILINE)
    is_pruned = pruned and mountpoint.FSTYPE in pruned[1].split()
    if not is_pruned and (_UPDATEDB_CONF.exists() or shutil.which("updatedb")):
        yield Sign(
            "locate finds names in mounts with --allow-other, for all users",
            f"add {mountpoint.FSTYPE} to PRUNEFS in {_UPDATEDB_CONF}",
        )


def _limits() -> Iterator[Sign]:
    """Yield which limits are low."""
    most = re.search(r"^mount_max\s*=\s*(\d+)", _text(_FUSE_CONF), re.MULTILINE)
    mine = [each for each in mounts() if f"user_id={os.getuid()}" in each.options]
    if os.getuid() and len(mine) >= int(most[1] if most else _MOST_MOUNTS):
        yield Sign(
            f"you have {counted(len(mine), 'mount')} of FUSE, and may have no more",
            f"end some, or raise mount_max in {_FUSE_CONF}",
            is_missing=True,
        )
    for which, least, what, flag in (
        (resource.RLIMIT_NOFILE, _LEAST_FILES, "open files", "-Hn"),
        (resource.RLIMIT_AS, _LEAST_MEMORY, "bytes of virtual memory", "-Hv"),
    ):
        _, limit = resource.getrlimit(which)
        if limit != resource.RLIM_INFINITY and limit < least:
            yield Sign(
                f"a process may have {limit:,} {what} at most; {least:,} are better",
                f"raise the limit in /etc/security/limits.conf (ulimit {flag})",
            )
        else:
            yield Sign(f"the limit of {what} is high enough")


def _libraries() -> Iterator[Sign]:
    """Yield which libraries are missing that few media need."""
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    for name, what, mend in _LIBRARIES:
        if find_spec(name) is None:
            yield Sign(
                f"{what} cannot be read: {name} is missing", mend.format(pip=pip)
            )
        else:
            yield Sign(f"{what} can be read ({name})")


def _dead_mounts() -> Iterator[Sign]:
    """Yield the mounts of this user whose processes have ended."""
    for mount in mounts():
        place = Path(os.fsdecode(mount.mountpoint))
        if mountpoint.is_ours(mount) and mountpoint.is_stale(place):
            yield Sign(
                f"{place} holds a dead mount",
                f"fusermount3 -u {shlex.quote(str(place))}",
            )


def _text(path: Path) -> str:
    """Return what is in the file at *path*, nothing if there is none or it is closed."""
    with suppress(OSError):
        return path.read_text("utf-8", "replace")
    return ""
