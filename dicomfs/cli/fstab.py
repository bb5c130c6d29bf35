"""Options as mount(8) gives them, behind ``-o`` and in fstab."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from dicomfs.cli.usage import misunderstood, nearest

# What any file system is given. A dicomfs mount is what it is without it: read-only, with
# no device, no program and no other user's rights in it.
_OF_ANY_MOUNT: Final = frozenset(
    "ro rw dev nodev suid nosuid exec noexec auto noauto user nouser users owner "  # noqa: SIM905
    "noowner group nogroup defaults nofail _netdev comment sync async dirsync atime "
    "noatime diratime nodiratime relatime norelatime strictatime nostrictatime lazytime "
    "nolazytime silent loud default_permissions".split()
)
# x-systemd.automount, X-mount.mkdir, x-gvfs-name ...
_OF_OTHERS: Final = "x-"


def options_in(listed: Sequence[str]) -> Iterator[str]:
    """Yield the single options of lists with commas."""
    yield from filter(None, ",".join(listed).split(","))


def as_long(
    listed: Sequence[str], known: Collection[str], *, is_sloppy: bool = False
) -> Iterator[str]:
    """Yield the long options, of those that are *known*, that *listed* ones stand for.

    ``allow_other,uid=5`` is ``--allow-other --uid=5``. What means nothing to dicomfs is
    passed over. What nobody knows is, too, if *is_sloppy*; else this raises Failure.
    """
    for option in options_in(listed):
        name, equals, value = option.partition("=")
        if name in _OF_ANY_MOUNT or name.lower().startswith(_OF_OTHERS):
            continue
        long = f"--{name.replace('_', '-')}"
        if long in known:
            yield f"{long}{equals}{value}"
        elif not is_sloppy:
            near = nearest(long, known).replace("--", "")
            raise misunderstood(f"-o {option}: there is no such option{near}", "mount")
